"use strict";
const all = [...document.querySelectorAll(".interaction")];
const search = document.getElementById("search");
const told = document.getElementById("told");
const seen = (each) => each.getClientRects().length > 0;
search.addEventListener("input", () => {
  const wanted = search.value.trim().toLowerCase();
  let found = 0;
  for (const each of all) {
    const text = each.closest(".cause").querySelector("h3").textContent + " " + each.textContent;
    each.hidden = !text.toLowerCase().includes(wanted);
    found += !each.hidden;
  }
  for (const box of document.querySelectorAll(".cause, .level")) {
    box.hidden = !box.querySelector(".interaction:not([hidden])");
  }
  told.textContent = wanted ? `${found} of ${all.length} interactions` : "";
});
const go = (step) => {
  const heads = all.filter(seen).map((each) => each.querySelector("summary")).filter(Boolean);
  if (!heads.length) return;
  const at = heads.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : heads.length - 1) : at + step;
  const head = heads[Math.min(Math.max(next, 0), heads.length - 1)];
  head.focus();
  head.scrollIntoView({ block: "nearest" });
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === search) {
    if (event.key === "Escape") search.blur();
    return;
  }
  if (event.key === "j") go(1);
  else if (event.key === "k") go(-1);
  else if (event.key === "/") { event.preventDefault(); search.focus(); }
  else if (event.key === "e") {
    const boxes = all.filter((each) => each.matches("details") && seen(each));
    const open = boxes.some((each) => !each.open);
    for (const each of boxes) each.open = open;
  }
});
