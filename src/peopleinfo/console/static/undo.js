// Pending deletions. A deletion is final, so it starts after half a minute, in which the user can undo it.
// The session storage holds ids only, never names.

import { call, isUnavailable } from "./api.js";
import { $, $$, copy, on } from "./dom.js";
import { notify } from "./layout.js";
import { fullName, path } from "./people.js";

const DELAY = 30_000;
const tray = $("#tray");
const shown = new Map(); // id → its note in the tray

const pending = () => JSON.parse(sessionStorage.getItem("deletions") ?? "[]");
function save(deletions) {
  sessionStorage.setItem("deletions", JSON.stringify(deletions));
  show();
  dispatchEvent(new Event("deletions"));
}
const cancel = (id) => save(pending().filter((deletion) => deletion.id !== id));

/** Return whether a deletion of this person is pending. */
export const isPending = (id) => pending().some((deletion) => deletion.id === id);

/** Delete a version of a person after the delay. */
export function scheduleDeletion(id, version) {
  if (!isPending(id)) save([...pending(), { id, version, due: Date.now() + DELAY }]);
}

async function deleteNow({ id, version }) {
  const { note, name } = shown.get(id);
  if (note.inert) return;
  note.inert = true;
  try {
    await call("DELETE", path(id), { headers: { "If-Match": `"${version}"` } });
    notify(`${name.textContent} has been deleted.`);
    dispatchEvent(new CustomEvent("deleted", { detail: id }));
  } catch (reason) {
    if (isUnavailable(reason)) {
      note.inert = false;
      return save(pending().map((deletion) => (deletion.id === id ? { ...deletion, due: Date.now() + 5000 } : deletion)));
    }
    const problem = reason.status === 412 ? "the record has changed. Open it again." : reason.message;
    if (reason.status !== 404) notify(`${name.textContent} was not deleted: ${problem}`, "bad");
  }
  cancel(id);
}

function show() {
  const deletions = pending();
  for (const [id, { note }] of shown) {
    if (deletions.some((deletion) => deletion.id === id)) continue;
    if (note.contains(document.activeElement)) $("#main").focus({ preventScroll: true });
    note.remove();
    shown.delete(id);
  }
  for (const deletion of deletions) if (!shown.has(deletion.id)) add(deletion);
  tray.hidden = !deletions.length;
}

function add(deletion) {
  const { id } = deletion;
  const note = copy("deletion");
  const [undo, now] = $$("button", note);
  const name = $("b", note);
  on(undo, "click", () => (cancel(id), notify("Deletion cancelled.")));
  on(now, "click", () => deleteNow(deletion));
  shown.set(id, { note, name });
  tray.append(note);
  call("GET", path(id)).then(
    (person) => (name.textContent = fullName(person)),
    (reason) => reason.status === 404 && cancel(id),
  );
}

function tick() {
  for (const deletion of pending()) {
    const seconds = Math.max(0, Math.ceil((deletion.due - Date.now()) / 1000));
    $("time", shown.get(deletion.id).note).textContent = `${seconds} s`;
    if (!seconds) deleteNow(deletion);
  }
}

addEventListener("pageshow", show);
show();
tick();
setInterval(tick, 500);
