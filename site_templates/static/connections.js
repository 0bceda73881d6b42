// A neuron's connections: lists sorted and cut down, maps in colours of their own, weights told one by one.
"use strict";
{
const STOPS = [[5, 113, 176], [146, 197, 222], [247, 247, 247], [244, 165, 130], [202, 0, 32]];
const MINUS = "\u2212";

function colour(share) {
  const at = (share + 1) * 2;
  const i = Math.min(3, Math.floor(at));
  return STOPS[i].map((from, c) => Math.round(from + (at - i) * (STOPS[i + 1][c] - from)));
}

// The other way round: red falls from white to blue, green from white to red.
function shareOf(red, green, blue, shades) {
  const negative = red < blue;
  const [value, half, end] = negative ? [red, 146, 5] : [green, 165, 0];
  const share = value >= half ? (247 - value) / (247 - half) / 2 : 0.5 + (half - value) / (half - end) / 2;
  return (negative ? -1 : 1) * Math.round(share * shades) / shades;
}

function number(value, digits) {
  const size = Math.abs(value);
  const text = size >= 999.5 ? Math.round(size).toLocaleString("en") : size.toPrecision(digits).replace(/\.$/, "");
  return value ? text : "0";
}

const signed = (value, digits) => (value > 0 ? "+" : value < 0 ? MINUS : "") + number(value, digits);
const clamped = (value, n) => Math.max(0, Math.min(n - 1, value));
const rowOf = (map) => Number(getComputedStyle(map).getPropertyValue("--r"));

// All maps of a section stand in one picture; its colours are weights, in shares of the peak.
function sheetOf(section) {
  const [h, w, meanOf, shades, peak] = section.dataset.sheet.split(" ").map(Number);
  const maps = () => [...section.querySelectorAll(".k")].filter((map) => map.closest("[data-sheet]") === section);
  const sheet = { h, w, meanOf, peak, maps, shares: null };
  sheet.read = async () => {
    const image = new Image();
    image.src = getComputedStyle(maps()[0]).backgroundImage.slice(5, -2);
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const brush = canvas.getContext("2d");
    brush.drawImage(image, 0, 0);
    const pixels = brush.getImageData(0, 0, canvas.width, canvas.height).data;
    sheet.shares = Array.from({ length: pixels.length / 4 }, (_, i) => shareOf(pixels[4 * i], pixels[4 * i + 1], pixels[4 * i + 2], shades));
    sheet.read = async () => sheet;
    return sheet;
  };
  sheet.share = (map, row, column) => sheet.shares[(rowOf(map) * (h + 1) + row) * w + column];
  return sheet;
}

// The same picture, each map up to its own strongest weight.
function ownColours({ h, w, shares }) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [w, shares.length / w];
  const brush = canvas.getContext("2d");
  const image = brush.createImageData(w, canvas.height);
  const size = (h + 1) * w;
  for (let from = 0; from < shares.length; from += size) {
    const own = shares.slice(from, from + size);
    const peak = Math.max(...own.map(Math.abs)) || 1;
    own.forEach((share, i) => image.data.set([...colour(share / peak), 255], 4 * (from + i)));
  }
  brush.putImageData(image, 0, 0);
  return `url("${canvas.toDataURL()}")`;
}

// One weight in words, below the map or above it where there is no room.
const readout = document.createElement("p");
readout.className = "readout";
readout.setAttribute("role", "status");
readout.hidden = true;
const spot = document.createElement("b");
spot.className = "spot";
let shown = null;

const span = (at, n) => (n === 1 ? `${at + 1}` : `${at * n + 1}–${(at + 1) * n}`);

function hide() {
  shown = null;
  readout.hidden = true;
  spot.remove();
}

function tell(sheet, map, row, column) {
  const share = sheet.share(map, row, column);
  const place = `${sheet.meanOf > 1 ? "mean of " : ""}row ${span(row, sheet.meanOf)}, column ${span(column, sheet.meanOf)}`;
  const weight = share ? `about ${signed(share * sheet.peak, 2)}, ${Math.round(Math.abs(share) * 100)} % of the peak` : "about 0";
  const value = document.createElement("b");
  value.textContent = `${place}: ${weight}`;
  const icon = map.closest("li, tr").querySelector("a, .from");
  readout.replaceChildren(value, `${icon.querySelector("img")?.alt || ""} ${icon.textContent}: strongest ${map.getAttribute("aria-label")}`);
  Object.assign(spot.style, {
    left: `${column / sheet.w * 100}%`, top: `${row / sheet.h * 100}%`, width: `${100 / sheet.w}%`, height: `${100 / sheet.h}%`,
  });
  map.append(spot);
  shown = { sheet, map, row, column };
  readout.hidden = false;
  putReadout();
}

function putReadout() {
  const box = shown.map.getBoundingClientRect();
  const below = box.bottom + 8;
  const fits = below + readout.offsetHeight < innerHeight;
  readout.style.top = `${fits ? below : box.top - 8 - readout.offsetHeight}px`;
  readout.style.left = `${Math.max(8, Math.min(box.left, document.documentElement.clientWidth - readout.offsetWidth - 8))}px`;
}

function strongestOf(sheet, map) {
  let best = [0, 0];
  for (let row = 0; row < sheet.h; row += 1) {
    for (let column = 0; column < sheet.w; column += 1) {
      if (Math.abs(sheet.share(map, row, column)) > Math.abs(sheet.share(map, ...best))) best = [row, column];
    }
  }
  return best;
}

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// One stop of the Tab key a list: Page Up and Page Down go from map to map, arrows from weight to weight.
function stop(sheet, wanted) {
  const visible = sheet.maps().filter((map) => !map.closest("[hidden]"));
  const chosen = visible.includes(wanted) ? wanted : visible[0];
  for (const map of sheet.maps()) map.tabIndex = map === chosen ? 0 : -1;
}

function listen(section) {
  const sheet = sheetOf(section);
  const mapOf = (event) => {
    const map = event.target.closest(".k");
    return map && map.closest("[data-sheet]") === section ? map : null;
  };
  const point = async (event) => {
    const map = mapOf(event);
    if (!map) return;
    await sheet.read();
    const box = map.getBoundingClientRect();
    const row = clamped(Math.floor((event.clientY - box.top) / box.height * sheet.h), sheet.h);
    const column = clamped(Math.floor((event.clientX - box.left) / box.width * sheet.w), sheet.w);
    if (!shown || shown.map !== map || shown.row !== row || shown.column !== column) tell(sheet, map, row, column);
  };
  section.addEventListener("pointermove", point);
  section.addEventListener("pointerdown", point);
  section.addEventListener("pointerout", (event) => { if (mapOf(event) && event.pointerType === "mouse") hide(); });
  section.addEventListener("focusin", async (event) => {
    const map = mapOf(event);
    if (!map) return;
    stop(sheet, map);
    await sheet.read();
    if (map === document.activeElement) tell(sheet, map, ...strongestOf(sheet, map));
  });
  section.addEventListener("focusout", hide);
  section.addEventListener("keydown", (event) => {
    const map = mapOf(event);
    if (!map || !sheet.shares || event.ctrlKey || event.metaKey || event.altKey) return;
    const move = MOVES[event.key];
    const turn = { PageDown: 1, PageUp: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!move && !turn) return;
    // Not the keys that turn the page.
    event.preventDefault();
    event.stopPropagation();
    if (turn) {
      const visible = sheet.maps().filter((other) => !other.closest("[hidden]"));
      visible[clamped(visible.indexOf(map) + turn, visible.length)].focus();
    } else {
      const [row, column] = shown && shown.map === map ? [shown.row, shown.column] : strongestOf(sheet, map);
      tell(sheet, map, clamped(row + move[0], sheet.h), clamped(column + move[1], sheet.w));
    }
  });
  stop(sheet);
  section.classList.add("told");
  return sheet;
}

// Sort, signs and colours of one list. Below each map stands the number that the list is sorted by.
function sift(section, sheet) {
  const form = section.querySelector(".sift") || document.querySelector(".sift").cloneNode(true);
  section.querySelector(".preface > div").append(form);
  const list = section.querySelector(".cells");
  const masses = section.dataset.masses.split(" ").map(Number);
  const n = list.children.length;
  const gives = section.dataset.gives?.split(" ").map(Number);
  if (!gives) form.querySelector("[value=gives]")?.remove();
  const rows = [...list.children].map((cell, at) => {
    const told = cell.querySelector("em");
    const [positive, negative] = [masses[at], masses[n + at]];
    return {
      cell, told, text: told.textContent, sign: told.className, bar: cell.style.getPropertyValue("--b"),
      l1: positive + negative, positive, negative, gives: gives?.[at], index: Number(cell.id.replace(/.*-/, "")),
    };
  });

  const sort = (by) => {
    const measured = by !== "l2" && by !== "index";
    const most = measured ? Math.max(...rows.map((row) => Math.abs(row[by]))) || 1 : 1;
    const ways = { l2: () => 0, index: (a, b) => a.index - b.index };
    list.append(...[...rows].sort(ways[by] || ((a, b) => Math.abs(b[by]) - Math.abs(a[by]))).map((row) => row.cell));
    for (const { cell, told, text, sign, bar, ...row } of rows) {
      const way = by === "gives" ? (row.gives < 0 ? "negative" : "positive") : by;
      const mark = { positive: ["p", "+"], negative: ["n", MINUS], l1: ["z", ""] }[way];
      told.className = measured ? mark[0] : sign;
      told.textContent = measured ? (row[by] ? mark[1] : "") + number(row[by], 3) + (by === "gives" ? " %" : "") : text;
      cell.style.setProperty("--b", measured ? Math.round(Math.abs(row[by]) / most * 100) : bar);
    }
  };

  const cut = (sign) => {
    for (const row of rows) row.cell.hidden = Boolean(sign) && row.sign !== sign;
    const left = rows.filter((row) => !row.cell.hidden).length;
    form.querySelector("output").textContent = sign ? `${left} of the ${n} shown` : "";
    stop(sheet);
  };

  const limit = section.querySelector(".legend span");
  const shared = [...limit.childNodes].map((node) => node.textContent);
  const tint = async (own) => {
    const image = own ? ownColours(await sheet.read()) : "";
    for (const map of sheet.maps()) map.style.backgroundImage = image;
    limit.firstChild.textContent = own ? `${MINUS} its own peak` : shared[0];
    limit.lastChild.textContent = own ? "+ its own peak" : shared.at(-1);
  };

  const [by, sign, limits] = form.querySelectorAll("select");
  by.addEventListener("change", () => sort(by.value));
  sign.addEventListener("change", () => cut(sign.value));
  limits.addEventListener("change", () => tint(limits.value));
  // A link to a connection that is cut away shows all of them again.
  const reveal = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (!target || !list.contains(target) || !target.hidden) return;
    sign.value = "";
    cut("");
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  form.hidden = false;
}

for (const section of document.querySelectorAll("[data-sheet]")) {
  const sheet = listen(section);
  if (section.dataset.masses) sift(section, sheet);
}
(document.querySelector("main") || document.body).append(readout);
// Focus scrolls to its map: the words go with it.
window.addEventListener("scroll", () => {
  if (shown?.map === document.activeElement) putReadout();
  else hide();
}, { passive: true });
}
