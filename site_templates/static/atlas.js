// Sorting and keys. They add to the pages and take nothing away.
"use strict";

// Keys: the left and right arrows turn pages, "/" goes to the search box.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.documentElement.dataset.keys === "off") return;
  if (event.target.closest("input, textarea, select, [contenteditable], pre") || document.querySelector("dialog[open]")) return;
  // On some keyboards "/" needs shift.
  const rel = !event.shiftKey && { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const link = rel && document.querySelector(`.steps a[rel=${rel}]`);
  if (link) link.click();
  const box = document.querySelector(".search input");
  if (event.key === "/" && box) {
    event.preventDefault();
    box.focus();
  }
});

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
      const named = column === 0 || (column === 1 && table.classList.contains("branched"));
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
