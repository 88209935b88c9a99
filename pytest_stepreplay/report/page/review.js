"use strict";
const token = location.pathname.split("/")[1];
const changes = all.filter((each) => each.dataset.id);
const byId = new Map(changes.map((each) => [each.dataset.id, each]));
const refusals = document.getElementById("refused");
const isOpen = (each) => !each.dataset.decided;
const nameOf = (each) => each.querySelector("summary code").textContent;

const tell = (text) => { told.textContent = text; };
const refuse = (texts) => {
  refusals.replaceChildren(...texts.map((text) => {
    const line = document.createElement("p");
    line.textContent = text;
    return line;
  }));
};
const send = async (what, order) => {
  try {
    const answer = await fetch(location.pathname + what, {
      method: "POST",
      headers: { "content-type": "application/json", "x-stepreplay-token": token },
      body: JSON.stringify(order),
    });
    if (answer.ok || answer.status === 409) return await answer.json();
    refuse([await answer.text()]);
  } catch {
    refuse(["The review has ended, and nothing more was decided. Start it again with: stepreplay review --web"]);
  }
  return null;
};

const count = () => {
  document.getElementById("left").textContent = changes.filter(isOpen).length;
};
const mark = (each, done) => {
  each.dataset.decided = done;
  each.open = false;
  each.querySelector(".done").textContent = done;
};
const unmark = (each) => {
  delete each.dataset.decided;
  each.querySelector(".done").textContent = "";
};
const goTo = (each) => {
  if (!each) return;
  each.open = true;
  focusOn(each.querySelector("summary"));
};
let here;
for (const event of ["focusin", "mousedown"]) {
  document.addEventListener(event, ({ target }) => { here = target.closest(".interaction") ?? here; });
}
const current = () => {
  const there = changes.filter((each) => isOpen(each) && seen(each));
  return there.includes(here) ? here : there[0];
};
const rest = (each) =>
  [...each.closest(".cause").querySelectorAll(".interaction")].filter((one) => isOpen(one) && seen(one));

const decide = async (verb, those) => {
  if (!those.length) return;
  const answer = await send("decide", { verb, changes: those.map((each) => each.dataset.id) });
  if (!answer) return;
  const done = answer.decided.map((id) => byId.get(id));
  for (const each of done) mark(each, answer.done);
  for (const id of answer.gone) mark(byId.get(id), "refused");
  count();
  refuse(answer.refused.length ? [...answer.refused, "Nothing of that was written. Reload this page to see what is pending now."] : []);
  const what = done.length === 1 ? nameOf(done[0]) : `${done.length} changes`;
  tell(`${answer.done} ${what}. ${answer.advice}`);
  const last = those.at(-1);
  const later = changes.slice(changes.indexOf(last)).find((each) => isOpen(each) && seen(each));
  goTo(later ?? changes.find((each) => isOpen(each) && seen(each)));
};
const undo = async () => {
  const answer = await send("undo", {});
  if (!answer) return;
  const back = answer.back.map((id) => byId.get(id));
  if (back.includes(undefined)) return location.reload();
  back.forEach(unmark);
  count();
  refuse(answer.refused);
  tell(back.length ? `${back.length === 1 ? nameOf(back[0]) : `${back.length} changes`} pending again` : "Nothing was decided that could be undone.");
  goTo(back[0]);
};
const end = async () => {
  const answer = await send("end", {});
  if (!answer) return;
  for (const each of document.querySelectorAll("button[data-verb], button[data-do]")) each.disabled = true;
  const line = document.createElement("p");
  line.className = "calm";
  line.textContent = `${answer.ended} You can close this page.`;
  document.getElementById("ended").replaceChildren(line);
  for (const each of document.querySelectorAll("main .level")) each.hidden = true;
  scrollTo(0, 0);
};

// One after the other, so that a key is for what the one before it has brought about.
let last = Promise.resolve();
const inTurn = (work) => { last = last.then(work); };
for (const [key, verb] of [["a", "accept"], ["r", "reject"], ["s", "skip"]]) {
  keys[key] = () => inTurn(() => decide(verb, [current()].filter(Boolean)));
  keys[key.toUpperCase()] = () => inTurn(() => decide(verb, current() ? rest(current()) : []));
}
keys.u = () => inTurn(undo);
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-verb], button[data-do]");
  if (!button) return;
  const { verb } = button.dataset;
  if (button.dataset.do) inTurn(button.dataset.do === "undo" ? undo : end);
  else if ("all" in button.dataset) inTurn(() => decide(verb, rest(button)));
  else inTurn(() => decide(verb, [button.closest(".interaction")].filter(isOpen)));
});
if (!document.activeElement?.closest("input")) goTo(changes[0]);
