"use strict";
const all = [...document.querySelectorAll(".interaction")];
const search = document.getElementById("search");
const told = document.getElementById("told");
const seen = (each) => each.getClientRects().length > 0;

let texts;
const textOf = (each) => {
  const cause = each.closest(".cause").querySelector("h3");
  return ((cause ? cause.textContent + " " : "") + each.textContent).toLowerCase();
};
const find = () => {
  const wanted = search.value.trim().toLowerCase();
  texts ??= all.map(textOf);
  let found = 0;
  all.forEach((each, i) => {
    each.hidden = !texts[i].includes(wanted);
    found += !each.hidden;
  });
  for (const box of document.querySelectorAll(".cause, .level")) {
    box.hidden = !box.querySelector(".interaction:not([hidden])");
  }
  told.textContent = wanted ? `${found} of ${all.length} found` : "";
};
search.addEventListener("input", find);

const theme = document.getElementById("theme");
const isDark = () =>
  (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
nameTheme();
theme.hidden = false;

const heads = () => all.filter(seen).map((each) => each.querySelector("summary")).filter(Boolean);
const focusOn = (head) => {
  head.focus();
  head.scrollIntoView({ block: "nearest" });
};
const go = (step) => {
  const there = heads();
  if (!there.length) return;
  const own = document.activeElement.closest?.(".interaction")?.querySelector("summary");
  const at = there.indexOf(own);
  const next = at < 0 ? (step > 0 ? 0 : there.length - 1) : at + step;
  focusOn(there[Math.min(Math.max(next, 0), there.length - 1)]);
};
const keys = {
  j: () => go(1),
  k: () => go(-1),
  "/": () => search.focus(),
  e: () => {
    const boxes = all.filter((each) => each.matches("details") && seen(each));
    const open = boxes.some((each) => !each.open);
    for (const each of boxes) each.open = open;
  },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === search) {
    if (event.key === "Escape") {
      search.value = "";
      find();
      search.blur();
    }
    return;
  }
  if (Object.hasOwn(keys, event.key)) {
    event.preventDefault();
    keys[event.key]();
  }
});
