// Who is being removed. Erasing is final, so it waits half a minute, in which it can be undone; until then nobody is removed.
// The tab remembers ids alone: what people are called stands in no storage.

import { call, isAway } from "./api.js";
import { $, $$, copy, on } from "./dom.js";
import { say } from "./frame.js";
import { fullName, path } from "./people.js";

const WAIT = 30_000;
const tray = $("#tray");
const shown = new Map(); // id → what the tray shows of it

const kept = () => JSON.parse(sessionStorage.getItem("removals") ?? "[]");
function keep(removals) {
  sessionStorage.setItem("removals", JSON.stringify(removals));
  show();
  dispatchEvent(new Event("removals"));
}
const forget = (id) => keep(kept().filter((removal) => removal.id !== id));

/** Say whether somebody is being removed. */
export const isGoing = (id) => kept().some((removal) => removal.id === id);

/** Remove a person at a version, after a while. */
export function remove(id, version) {
  if (!isGoing(id)) keep([...kept(), { id, version, due: Date.now() + WAIT }]);
}

async function erase({ id, version }) {
  const { note, name } = shown.get(id);
  if (note.inert) return;
  note.inert = true;
  try {
    await call("DELETE", path(id), { headers: { "If-Match": `"${version}"` } });
    say(`${name.textContent} has been removed.`);
    dispatchEvent(new CustomEvent("removed", { detail: id }));
  } catch (reason) {
    if (isAway(reason)) {
      note.inert = false;
      return keep(kept().map((removal) => (removal.id === id ? { ...removal, due: Date.now() + 5000 } : removal)));
    }
    const why = reason.status === 412 ? "somebody has changed the record since. Look at it again." : reason.message;
    if (reason.status !== 404) say(`${name.textContent} was not removed: ${why}`, "bad");
  }
  forget(id);
}

function show() {
  const removals = kept();
  for (const [id, { note }] of shown) {
    if (removals.some((removal) => removal.id === id)) continue;
    if (note.contains(document.activeElement)) $("#main").focus({ preventScroll: true });
    note.remove();
    shown.delete(id);
  }
  for (const removal of removals) if (!shown.has(removal.id)) add(removal);
  tray.hidden = !removals.length;
}

function add(removal) {
  const { id } = removal;
  const note = copy("removal");
  const [undo, now] = $$("button", note);
  const name = $("b", note);
  on(undo, "click", () => (forget(id), say("Kept. Nothing was removed.")));
  on(now, "click", () => erase(removal));
  shown.set(id, { note, name });
  tray.append(note);
  call("GET", path(id)).then(
    (person) => (name.textContent = fullName(person)),
    (reason) => reason.status === 404 && forget(id),
  );
}

function tick() {
  for (const removal of kept()) {
    const seconds = Math.max(0, Math.ceil((removal.due - Date.now()) / 1000));
    $("time", shown.get(removal.id).note).textContent = `${seconds} s`;
    if (!seconds) erase(removal);
  }
}

addEventListener("pageshow", show);
show();
tick();
setInterval(tick, 500);
