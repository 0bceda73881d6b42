// "?" shows the keyboard shortcuts, and so does a button at the foot of the page.
"use strict";
{
  const KEYS = [["← →", "previous page, next page"], ["/", "search"], ["↑ ↓ Enter", "choose a result"], ["← ↑ → ↓", "on a map: next weight"], ["PageUp PageDown", "on a map: next map"], ["Esc", "close"], ["?", "this list"]];
  const rows = KEYS.map(([keys, told]) => `<div><dt>${keys.replace(/\S+/g, "<kbd>$&</kbd>")}</dt><dd>${told}</dd></div>`);
  const root = document.documentElement;
  const opener = document.querySelector("[data-keys-list]");
  opener.hidden = false;
  try {
    root.dataset.keys = localStorage.getItem("atlas-keys") || "on";
  } catch {}

  const make = () => {
    // Single keys disturb people who speak to their computer (WCAG 2.1.4), so they can be turned off.
    document.body.insertAdjacentHTML("beforeend", `<dialog id="keys" aria-labelledby="keys-title"><h2 id="keys-title">Keyboard shortcuts</h2><dl>${rows.join("")}</dl><form method="dialog"><label><input type="checkbox"> Enabled</label><button autofocus>Close</button></form></dialog>`);
    const list = document.querySelector("#keys");
    const works = list.querySelector("input");
    works.checked = root.dataset.keys !== "off";
    works.addEventListener("change", () => {
      root.dataset.keys = works.checked ? "on" : "off";
      try {
        localStorage.setItem("atlas-keys", root.dataset.keys);
      } catch {}
    });
    list.addEventListener("click", (event) => { if (event.target === list) list.close(); });
    return list;
  };

  const open = () => {
    const list = document.querySelector("#keys") || make();
    if (!list.open) list.showModal();
  };

  opener.addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey || root.dataset.keys === "off") return;
    if (!event.target.closest("input, textarea, select, [contenteditable], pre")) open();
  });
}
