// Search, sorting and keys. They add to the pages and take nothing away.
"use strict";

// Keys: the left and right arrows turn pages, "/" goes to the search box.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.documentElement.dataset.keys === "off") return;
  if (event.target.closest("input, textarea, select, [contenteditable], pre") || document.querySelector("dialog[open]")) return;
  // On some keyboards "/" needs shift.
  const rel = !event.shiftKey && { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const link = rel && document.querySelector(`.steps a[rel=${rel}]`);
  if (link) link.click();
  if (event.key === "/" && box) {
    event.preventDefault();
    box.focus();
  }
});

// Search: the records come with the first touch of the box, as a script, which works without a server too.
const form = document.querySelector(".search");
const box = form && form.querySelector("input");
const found = form && form.querySelector("ul");
const MOST = 12;

function load() {
  if (form.dataset.loaded) return;
  form.dataset.loaded = "yes";
  const script = document.createElement("script");
  script.src = form.dataset.records;
  script.onload = show;
  document.head.append(script);
}

function holds(layer, index) {
  return layer[3].some(([first, last]) => first <= index && index <= last);
}

function neuron(layer, index, label) {
  return { href: `${layer[1]}_${index}.html`, name: label || `${layer[0]}:${index}`, kind: label ? `${layer[0]}:${index}` : "" };
}

function fits(layer, text) {
  const name = layer[0].toLowerCase();
  return name === text || layer[1].toLowerCase() === text || layer[2].toLowerCase() === text || name.includes(text);
}

function exactFirst(layers, text) {
  const exact = layers.filter((l) => [l[0], l[1], l[2]].some((n) => n.toLowerCase() === text));
  return exact.length ? exact : layers;
}

// A branch's name means the neurons of the layer that it is a part of: [layer, [name, first, number]].
function ofBranch(text) {
  return window.ATLAS_SEARCH.layers.flatMap((layer) => layer[5].filter((b) => b[0].toLowerCase() === text).map((b) => [layer, b]));
}

// What an address names: its page's, the weight explorer's, Microscope's; anything else as it is.
function plain(query) {
  const text = query.trim();
  const page = text.match(/([^/]+)\.(?:html|jpg|json|npz)(?:[?#].*)?$/i);
  const scope = text.match(/\/models\/[^/]+\/([^/]+?)(?:_0)?\/(\d+)\/?(?:[?#].*)?$/i);
  return (scope ? `${scope[1]}/${scope[2]}` : page ? page[1] : text).toLowerCase();
}

// "3b:379", "mixed3b/379", "mixed3b_379", "mixed3b 379", "mixed3b_5x5:59", an address, "379", "mixed", "tench".
function search(query) {
  const layers = window.ATLAS_SEARCH.layers;
  const text = plain(query);
  if (!text) return [];
  const results = [];
  const parts = text.match(/^(.*?)[\s:/_]*(\d+)$/);
  const named = layers.filter((layer) => fits(layer, text));
  for (const layer of named) results.push({ href: `${layer[1]}.html`, name: layer[0], kind: "layer" });
  for (const [layer] of ofBranch(text)) results.push({ href: `${layer[1]}.html`, name: layer[0], kind: "layer" });
  if (parts) {
    const index = Number(parts[2]);
    for (const [layer, [, first, n]] of ofBranch(parts[1])) {
      if (index < n && holds(layer, first + index)) results.push({ ...neuron(layer, first + index), kind: parts[0] });
    }
    const asked = parts[1] ? exactFirst(layers.filter((l) => fits(l, parts[1])), parts[1]) : layers;
    for (const layer of asked) if (holds(layer, index)) results.push(neuron(layer, index));
  }
  for (const [name, href, layer] of window.ATLAS_SEARCH.families) {
    if (name.toLowerCase().includes(text)) results.push({ href, name, kind: `family of ${layer}` });
  }
  for (const layer of layers) {
    let at = 0;
    if (!layer[4].length) continue;
    for (const [first, last] of layer[3]) {
      for (let index = first; index <= last; index += 1, at += 1) {
        if (results.length < MOST && layer[4][at].toLowerCase().includes(text)) results.push(neuron(layer, index, layer[4][at]));
      }
    }
  }
  return results.slice(0, MOST);
}

function show() {
  if (!window.ATLAS_SEARCH) return;
  const query = box.value;
  const results = search(query);
  found.replaceChildren(...results.map((result, at) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    const kind = document.createElement("small");
    // The link is the option: one within another would be two things to choose.
    item.setAttribute("role", "presentation");
    link.id = `found-${at}`;
    link.setAttribute("role", "option");
    link.setAttribute("aria-selected", at === 0);
    link.href = result.href;
    link.tabIndex = -1;
    link.textContent = result.name;
    kind.textContent = result.kind;
    link.append(kind);
    item.append(link);
    return item;
  }));
  if (!results.length && query.trim()) {
    const nothing = document.createElement("p");
    nothing.textContent = "Nothing of that name";
    found.append(nothing);
  }
  choose(0);
  open(Boolean(query.trim()));
}

function open(is) {
  found.hidden = !is;
  box.setAttribute("aria-expanded", is);
}

function choose(step) {
  const items = [...found.querySelectorAll("a")];
  const now = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  const next = Math.min(items.length - 1, Math.max(0, now + step));
  items.forEach((item, at) => item.setAttribute("aria-selected", at === next));
  if (items[next]) {
    box.setAttribute("aria-activedescendant", items[next].id);
    if (step) items[next].scrollIntoView({ block: "nearest" });
  } else {
    box.removeAttribute("aria-activedescendant");
  }
}

if (form) {
  form.hidden = false;
  for (const [name, value] of [["role", "combobox"], ["aria-expanded", false], ["aria-controls", "found"], ["aria-autocomplete", "list"]]) box.setAttribute(name, value);
  box.addEventListener("focus", () => { load(); show(); });
  box.addEventListener("input", () => { load(); show(); });
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

// A layer's wall: sorted by a column of its neurons' values, and cut down to some of them.
const tools = document.querySelector(".tools");
if (tools) {
  const wall = document.querySelector(".wall");
  const items = [...wall.children];
  const values = new Map(items.map((item) => [item, item.dataset.v.split(" ").map(Number)]));
  const buttons = [...tools.querySelectorAll("button")];
  const filter = tools.querySelector("input");
  const count = tools.querySelector("output");
  tools.hidden = false;

  const sort = (button) => {
    const column = Number(button.dataset.column);
    const way = "falling" in button.dataset ? -1 : 1;
    const value = (item) => values.get(item)[column];
    items.sort((a, b) => Number.isNaN(value(a)) - Number.isNaN(value(b)) || way * (value(a) - value(b)) || values.get(a)[0] - values.get(b)[0]);
    wall.append(...items);
    buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
  };

  const wanted = (text, index, name) => text.split(",").some((part) => {
    const span = part.trim().match(/^(\d+)(?:\s*[-–]\s*(\d+))?$/);
    if (span) return Number(span[1]) <= index && index <= Number(span[2] || span[1]);
    return part.trim() && name.includes(part.trim());
  });

  const cut = () => {
    const text = filter.value.trim().toLowerCase();
    let n = 0;
    for (const item of items) {
      item.hidden = Boolean(text) && !wanted(text, values.get(item)[0], item.textContent.toLowerCase());
      n += !item.hidden;
    }
    count.textContent = text ? `${n} of ${items.length}` : "";
  };

  buttons.forEach((button) => button.addEventListener("click", () => sort(button)));
  filter.addEventListener("input", cut);
}

// A table: a click on a column's head sorts by it, the largest first and then the smallest; names from the first.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const collator = new Intl.Collator("en", { numeric: true });
  const number = (text) => Number.parseFloat(text.replace("\u2212", "-").replaceAll(",", ""));

  const compare = (column) => {
    if (rows.some((row) => Number.isNaN(number(row.cells[column].textContent)))) {
      return (a, b) => collator.compare(a.cells[column].textContent, b.cells[column].textContent);
    }
    return (a, b) => number(a.cells[column].textContent) - number(b.cells[column].textContent);
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const named = column === 0 || rows.some((row) => row.cells[column].className === "text");
      const before = head.getAttribute("aria-sort");
      const way = before ? { ascending: "descending", descending: "ascending" }[before] : named ? "ascending" : "descending";
      const sign = way === "ascending" ? 1 : -1;
      const by = compare(column);
      // From the order of the file, so that equal ones always stand the same way.
      body.append(...[...rows].sort((a, b) => sign * by(a, b)));
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way);
    });
  });
}

// The address of a page is known only where it is read.
const bibtex = document.querySelector("#bibtex");
if (bibtex && location.protocol.startsWith("http")) {
  bibtex.textContent = bibtex.textContent.replace(/\n}$/, `\n  howpublished = {\\url{${location.href.split("#")[0]}}},\n}`);
}
