// The search box: neurons by name, alias, branch and address, layers, families, classes.
"use strict";

// The records come with the first touch of the box, as a script, which works without a server too.
const form = document.querySelector(".search");
const box = form && form.querySelector("input");
const found = form && form.querySelector("ul");
// Results of each kind, and of all kinds together.
const MOST = 12;
const IN_ALL = 20;
const KINDS = { neuron: "Neurons", layer: "Layers", family: "Families", label: "Classes" };

function load() {
  if (form.dataset.loaded) return;
  form.dataset.loaded = "yes";
  const script = document.createElement("script");
  script.src = form.dataset.records;
  script.onload = () => { prepare(window.ATLAS_SEARCH); if (document.activeElement === box) show(); };
  document.head.append(script);
}

// What separates words is not told apart: "3b:379", "mixed3b/379", "MIXED3B_379" and "mixed3b 379" are one.
const bare = (text) => text.toLowerCase().replace(/[\s_:/.,-]+/g, "");

let layers = null;
let families = [];

// Every name is stripped once; a key stroke compares what is stripped already.
function prepare(records) {
  layers = records.layers.map(([name, slug, short, spans, labels, branches, images]) => ({
    name, slug, spans, labels, images,
    keys: [...new Set([name, slug, short].filter(Boolean).map(bare))],
    bares: labels.map(bare),
    branches: branches.map(([branch, first, n]) => ({ name: branch, key: bare(branch), first, n })),
  }));
  families = records.families.map(([name, href, at, members]) => ({ name, href, members, layer: layers[at], key: bare(name) }));
}

// 0 the name itself, 1 its beginning, 2 a part of it, 3 each word somewhere in it.
const NONE = 9;
function rank(key, text, words) {
  const at = key.indexOf(text);
  if (at >= 0) return key.length === text.length ? 0 : at ? 2 : 1;
  return words.length > 1 && words.every((word) => key.includes(word)) ? 3 : NONE;
}

// What an address names: its page's, the weight explorer's, Microscope's; anything else as it is.
function plain(query) {
  const text = query.trim();
  const page = text.match(/([^/]+)\.(?:html|jpg|json|npz)(?:[?#].*)?$/i);
  const scope = text.match(/\/models\/[^/]+\/([^/]+?)(?:_0)?\/(\d+)\/?(?:[?#].*)?$/i);
  return (scope ? `${scope[1]}/${scope[2]}` : page ? page[1] : text).toLowerCase();
}

// The neurons whose numbers begin with digits, the number itself first. A branch counts from its `first` of `n`.
function* beginning(spans, digits, { first, n }) {
  for (let unit = 1, low = Number(digits); unit <= 1000; unit *= 10, low *= 10) {
    for (const [from, to] of spans) {
      const end = Math.min(to, first + Math.min(low + unit, n) - 1);
      for (let index = Math.max(from, first + low); index <= end; index += 1) yield index;
    }
    if (!low) return;
  }
}

// The neurons that a text means when it starts with a name: [layer, digits, branch, rank].
function* meant(text, asked) {
  const digits = text.match(/\d{0,9}$/)[0];
  // "conv2d12" is neuron 12 of conv2d, or 2 of conv2d1; where the number is written apart, it is the first of these.
  const apart = asked.match(/(?:^|[\s:/_])(\d+)$/)?.[1].length;
  for (const layer of layers) {
    for (let n = digits.length; n > 0; n -= 1) {
      const head = text.slice(0, -n);
      const rest = text.slice(-n);
      const branch = layer.branches.find((one) => one.key === head);
      if (branch || layer.keys.includes(head)) yield [layer, rest, branch, n === apart ? 0 : 0.5];
      else if (n === apart && layer.keys.some((key) => key.includes(head))) yield [layer, rest, undefined, head ? 2 : 1];
    }
  }
}

function label({ spans, labels }, index) {
  let before = 0;
  for (const [first, last] of labels.length ? spans : []) {
    if (index <= last) return labels[before + index - first];
    before += last - first + 1;
  }
  return "";
}

function search(query) {
  const asked = plain(query);
  const text = bare(asked);
  if (!text) return [];
  const words = asked.split(/[\s_:/.,-]+/).filter(Boolean);
  const results = { neuron: [], layer: [], family: [], label: [] };
  const add = (kind, score, result) => results[kind].push({ kind, score, ...result });
  const neuron = (layer, index, note) => ({
    href: `${layer.slug}_${index}.html`,
    name: `${layer.name}:${index}`,
    note: note || label(layer, index),
    image: layer.images && `${form.dataset.images || ""}images/${layer.images}/${layer.slug}_${index}.jpg`,
  });

  for (const layer of layers) {
    const score = layer.branches.some((branch) => branch.key === text) ? 0 : Math.min(...layer.keys.map((key) => rank(key, text, words)));
    if (score < NONE) add("layer", score, { href: `${layer.slug}.html`, name: layer.name, note: "layer" });
  }
  for (const [layer, digits, branch, score] of meant(text, asked)) {
    let n = 0;
    for (const index of beginning(layer.spans, digits, branch || { first: 0, n: Infinity })) {
      add("neuron", n ? score + 1 : score, neuron(layer, index, branch && `${branch.name}:${index - branch.first}`));
      if ((n += 1) === MOST) break;
    }
  }
  for (const family of families) {
    const score = rank(family.key, text, words);
    if (score === NONE) continue;
    add("family", score, { href: family.href, name: family.name, note: `family of ${family.layer.name}` });
    for (const index of family.members.slice(0, MOST)) add("neuron", 3 + score, neuron(family.layer, index, family.name));
  }
  for (const layer of layers) {
    labelled(layer, text, words, (score, index) => {
      const one = neuron(layer, index);
      add("label", score, { ...one, name: one.note, note: one.name });
    });
  }

  const kinds = Object.values(results).filter((list) => list.length);
  for (const list of kinds) list.sort((a, b) => a.score - b.score);
  kinds.sort((a, b) => Math.floor(a[0].score) - Math.floor(b[0].score));
  const seen = new Set();
  const once = ({ href }) => !seen.has(href) && seen.add(href);
  return kinds.flatMap((list) => list.filter(once).slice(0, MOST)).slice(0, IN_ALL);
}

// The best of a layer's labels; past the first few of a rank only better ones count.
function labelled(layer, text, words, take) {
  const counts = [0, 0, 0, 0];
  let at = 0;
  for (const [first, last] of layer.bares.length ? layer.spans : []) {
    for (let index = first; index <= last; index += 1, at += 1) {
      const score = rank(layer.bares[at], text, words);
      if (score < NONE && (counts[score] += 1) <= MOST) take(score, index);
    }
  }
}

function item(result, at, results) {
  const entry = document.createElement("li");
  const link = document.createElement("a");
  const note = document.createElement("small");
  // The link is the option: one within another would be two things to choose.
  entry.setAttribute("role", "presentation");
  link.id = `found-${at}`;
  link.setAttribute("role", "option");
  link.setAttribute("aria-selected", at === 0);
  if (!at || results[at - 1].kind !== result.kind) entry.dataset.kind = KINDS[result.kind];
  link.href = result.href;
  link.tabIndex = -1;
  if (result.image) {
    const image = new Image(28, 28);
    image.src = result.image;
    image.alt = "";
    link.append(image);
  }
  note.textContent = result.note;
  link.append(result.name, note);
  entry.append(link);
  return entry;
}

function show() {
  if (!layers) return;
  const results = search(box.value);
  found.replaceChildren(...results.map(item));
  if (!results.length && box.value.trim()) {
    const nothing = document.createElement("p");
    nothing.textContent = "No matches";
    found.append(nothing);
  }
  choose(0);
  open(Boolean(box.value.trim()));
}

function open(is) {
  found.hidden = !is;
  box.setAttribute("aria-expanded", is);
}

function choose(step) {
  const items = [...found.querySelectorAll("a")];
  const now = items.findIndex((one) => one.getAttribute("aria-selected") === "true");
  const next = Math.min(items.length - 1, Math.max(0, now + step));
  items.forEach((one, at) => one.setAttribute("aria-selected", at === next));
  if (items[next]) {
    box.setAttribute("aria-activedescendant", items[next].id);
    if (step) items[next].scrollIntoView({ block: "nearest" });
  } else {
    box.removeAttribute("aria-activedescendant");
  }
}

if (form) {
  form.hidden = false;
  const roles = { role: "combobox", "aria-expanded": false, "aria-controls": "found", "aria-autocomplete": "list" };
  for (const [name, value] of Object.entries(roles)) box.setAttribute(name, value);
  for (const touch of ["focus", "pointerenter", "input"]) box.addEventListener(touch, load);
  for (const event of ["focus", "input"]) box.addEventListener(event, show);
  box.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      choose(step);
    }
    if (event.key === "Escape") open(false);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const link = found.querySelector("[aria-selected=true]");
    if (link) link.click();
  });
  document.addEventListener("click", (event) => { if (!form.contains(event.target)) open(false); });
}
