// Citations and snippets: the address of a page where it is read, and buttons that copy.
"use strict";

const bibtex = document.querySelector("#bibtex");
if (location.protocol.startsWith("http") && !bibtex.textContent.includes("\\url{")) {
  const full = (href) => new URL(href, location.href).href;
  for (const address of document.querySelectorAll("[data-href]")) address.textContent = full(address.dataset.href);
  bibtex.textContent = bibtex.textContent.replace(/\n}$/, `\n  howpublished = {\\url{${full(bibtex.dataset.page)}}},\n}`);
}

// Where there is no clipboard to write to, the text is at least selected.
async function copy(button, text, node) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(node);
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

for (const node of document.querySelectorAll(".copied")) {
  const text = node.textContent;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", () => copy(button, text, node));
  node.after(button);
}
