// Pending deletions of one or more people. A deletion is final, so it starts after half a minute, in which the user can undo it.
// The session storage holds ids only, never names.

import { call, isUnavailable } from "./api.js";
import { $, $$, copy, on } from "./dom.js";
import { notify } from "./notifications.js";
import { fullName, path } from "./people.js";

const DELAY = 30_000;
const RETRY_DELAY = 5000;
const tray = $("#tray");
const shown = new Map(); // key of a deletion → its note in the tray

const pending = () => JSON.parse(sessionStorage.getItem("deletions") ?? "[]");
function save(deletions) {
  sessionStorage.setItem("deletions", JSON.stringify(deletions));
  show();
  tick();
  dispatchEvent(new Event("deletions"));
}
const keyOf = ({ people }) => people[0].id;
const cancel = (deletion) => save(pending().filter((other) => keyOf(other) !== keyOf(deletion)));

/** Return the ids of the people whose deletion is pending. */
export const pendingIds = () => new Set(pending().flatMap(({ people }) => people.map(({ id }) => id)));

/** Delete people, each with its `id` and `version`, after the delay. */
export function scheduleDeletion(people) {
  const known = pendingIds();
  const others = people.filter(({ id }) => !known.has(id));
  if (others.length) save([...pending(), { people: others, due: Date.now() + DELAY }]);
}

/** Delete people one by one. During an outage, the deletion of those that remain is retried. */
async function deleteNow(deletion) {
  const { note, name } = shown.get(keyOf(deletion));
  if (note.inert) return;
  note.inert = true;
  const reasons = [];
  let deleted = 0;
  for (const [at, { id, version }] of deletion.people.entries()) {
    try {
      await call("DELETE", path(id), { headers: { "If-Match": `"${version}"` } });
      deleted++;
      dispatchEvent(new CustomEvent("deleted", { detail: id }));
    } catch (reason) {
      if (isUnavailable(reason)) return retryLater(deletion, deletion.people.slice(at));
      if (reason.status !== 404) reasons.push(reason.status === 412 ? "the record has changed. Open it again." : reason.message);
    }
  }
  report(deletion, name.textContent, deleted, reasons);
  cancel(deletion);
}

function report({ people }, name, deleted, reasons) {
  if (deleted) notify(people.length === 1 ? `${name} has been deleted.` : `${deleted} people have been deleted.`);
  const kept = people.length === 1 ? `${name} was` : reasons.length === 1 ? "1 person was" : `${reasons.length} people were`;
  if (reasons.length) notify(`${kept} not deleted: ${reasons[0]}`, "bad");
}

function retryLater(deletion, people) {
  shown.get(keyOf(deletion)).note.inert = false;
  save(pending().map((other) => (keyOf(other) === keyOf(deletion) ? { people, due: Date.now() + RETRY_DELAY } : other)));
}

function show() {
  const deletions = pending();
  for (const [key, { note }] of shown) {
    if (deletions.some((deletion) => keyOf(deletion) === key)) continue;
    if (note.contains(document.activeElement)) $("#main").focus({ preventScroll: true });
    note.remove();
    shown.delete(key);
  }
  for (const deletion of deletions) if (!shown.has(keyOf(deletion))) add(deletion);
  tray.hidden = !deletions.length;
}

function add(deletion) {
  const note = copy("deletion");
  const [undo, now] = $$("button", note);
  const name = $("b", note);
  on(undo, "click", () => (cancel(deletion), notify("Deletion cancelled.")));
  on(now, "click", () => deleteNow(deletion));
  shown.set(keyOf(deletion), { note, name });
  tray.append(note);
  if (deletion.people.length > 1) return (name.textContent = `${deletion.people.length} people`);
  call("GET", path(keyOf(deletion))).then(
    (person) => (name.textContent = fullName(person)),
    (reason) => reason.status === 404 && cancel(deletion),
  );
}

function tick() {
  for (const deletion of pending().filter((one) => shown.has(keyOf(one)))) {
    const seconds = Math.max(0, Math.ceil((deletion.due - Date.now()) / 1000));
    $("time", shown.get(keyOf(deletion)).note).textContent = `${seconds} s`;
    if (!seconds) deleteNow(deletion);
  }
}

addEventListener("pageshow", show);
show();
tick();
setInterval(tick, 500);
