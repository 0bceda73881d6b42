// How pages look, as the reader chose: the style sheet is told before anything is painted.
"use strict";
{
  const CHOICES = { theme: ["system", "light", "dark"], weights: ["red-blue", "orange-purple"] };
  const NAMES = { theme: "Theme", weights: "Colours of weights" };
  const HUES = { "red-blue": ["red", "blue"], "orange-purple": ["orange", "purple"] };
  const root = document.documentElement;

  // Where storage is forbidden a choice lasts as long as the page.
  const recall = () => {
    for (const [what, choices] of Object.entries(CHOICES)) {
      let kept = root.dataset[what];
      try {
        kept = localStorage.getItem(`atlas-${what}`);
      } catch {}
      root.dataset[what] = choices.includes(kept) ? kept : choices[0];
    }
  };

  const show = () => {
    for (const button of document.querySelectorAll("[data-choice]")) {
      const what = button.dataset.choice;
      button.title = `${NAMES[what]}: ${root.dataset[what]}`;
      button.setAttribute("aria-label", button.title);
    }
    const [more, less] = HUES[root.dataset.weights];
    for (const word of document.querySelectorAll("[data-hue]")) word.textContent = word.dataset.hue === "more" ? more : less;
  };

  recall();
  document.addEventListener("DOMContentLoaded", () => {
    show();
    for (const box of document.querySelectorAll(".looks")) box.hidden = false;
  });
  document.addEventListener("click", (event) => {
    const what = event.target.closest?.("[data-choice]")?.dataset.choice;
    if (!what) return;
    const choices = CHOICES[what];
    root.dataset[what] = choices[(choices.indexOf(root.dataset[what]) + 1) % choices.length];
    try {
      localStorage.setItem(`atlas-${what}`, root.dataset[what]);
    } catch {}
    show();
  });
  // Another tab chose, or the page comes back as it was left.
  for (const event of ["storage", "pageshow"]) addEventListener(event, () => { recall(); show(); });
}
