// The history of imports, and the undo of an import.

import { call } from "./api.js";
import { $, h, on, pause, put } from "./dom.js";
import { toNumber } from "./json.js";
import { guard } from "./leave.js";
import { notify, showProblem } from "./notifications.js";
import { moment } from "./people.js";

const REASONS = {
  changed: "has changed since the import",
  deleted: "was deleted since the import",
  "no-history": "the version before the import is not stored",
  "identifier-taken": "another person has the earlier identifier",
};
const STATES = { started: "Incomplete", finished: "Finished", undoing: "Undo incomplete", undone: "Undone" };
const NAMES = ["Time", "File", "Imported by", "New", "Updated", "State"];
const POLL_INTERVAL = 1000;
const table = $("#imports");
const mayUndo = table.dataset.mayUndo === "true";
const number = (count) => count.toLocaleString("en");
const people = (count) => (count === 1 ? "1 person" : `${number(count)} people`);
const nameOf = ({ file }) => file.name ?? "(no name)";
const COUNTS = ["created", "updated", "deleted", "restored", "left"];
let cursor;

/** Make numbers of the counts, whose JSON the parser preserves. */
const counted = (one) => ({ ...one, ...Object.fromEntries(COUNTS.map((name) => [name, toNumber(one[name])])) });

function row(one) {
  const cells = [moment(one.started_at), nameOf(one), one.principal ?? "", number(one.created), number(one.updated), STATES[one.state]];
  const button = mayUndo && one.state !== "undone" ? h("button.small", { type: "button" }, "Undo this import") : null;
  if (button) on(button, "click", () => confirmUndo(one));
  return h("tr", { id: `import-${one.import_id}` }, cells.map((cell, at) => h("td", { "data-of": NAMES[at] }, cell)), h("td", null, button));
}

async function load() {
  const next = cursor ? "&cursor=" + cursor : "";
  const page = await call("GET", `/v1/imports?limit=50${next}`);
  cursor = page.next_cursor;
  $("tbody", table).append(...page.imports.map(counted).map(row));
  $("#more").hidden = !cursor;
  $("#none").hidden = $("tbody", table).children.length > 0;
  $("#list").hidden = !$("#none").hidden;
}

function confirmUndo(one) {
  const dialog = $("#confirm");
  const effects = [one.created && `${people(one.created)} will be deleted`, one.updated && `${people(one.updated)} will have their earlier details again`];
  put("#confirm-text", `${nameOf(one)}: ${effects.filter(Boolean).join(", and ") || "no person will change"}.`);
  dialog.returnValue = "";
  dialog.onclose = () => dialog.returnValue && undo(one);
  dialog.showModal();
}

async function undo(one) {
  guard(() => true);
  put("#undo-title", `Undoing the import of ${nameOf(one)}`);
  put("#undo-result", "");
  $("#undo").hidden = false;
  $("#left").hidden = true;
  $("#undo-title").focus();
  const end = new AbortController();
  follow(one, end.signal).catch(() => {});
  try {
    do one = counted(await call("POST", `/v1/imports/${one.import_id}/undo`, { retry: true }));
    while (one.state !== "undone");
    finished(one);
  } catch (reason) {
    if (reason.status === undefined) throw reason;
    notify(`The undo stopped: ${reason.message}`, "bad");
  } finally {
    end.abort();
    guard(() => false);
    $(`#import-${one.import_id}`).replaceWith(row(one));
  }
}

/** Show the progress of the undo until it ends. */
async function follow({ import_id }, signal) {
  for (;;) {
    progress(counted(await call("GET", `/v1/imports/${import_id}`, { signal })));
    await pause(POLL_INTERVAL, signal);
  }
}

function progress({ created, updated, deleted, restored, left }) {
  $("#progress").max = created + updated || 1;
  $("#progress").value = deleted + restored + left;
}

function finished(one) {
  progress(one);
  put("#undo-title", `The import of ${nameOf(one)} is undone`);
  put("#undo-result", `${people(one.deleted)} deleted, ${people(one.restored)} restored, ${people(one.left)} left unchanged.`);
  const rows = one.people_left.map(({ person_id, reason }) =>
    h("tr", null, h("td", null, reason === "deleted" ? person_id : h("a", { href: `/console/people/${person_id}` }, person_id)), h("td", null, REASONS[reason])),
  );
  $("#left").hidden = !rows.length;
  $("#left table").replaceChildren(h("thead", null, h("tr", null, h("th", { scope: "col" }, "Person"), h("th", { scope: "col" }, "Reason"))), h("tbody", null, rows));
}

table.replaceChildren(h("thead", null, h("tr", null, [...NAMES, "Action"].map((name) => h("th", { scope: "col" }, name)))), h("tbody"));
on("#more", "click", load);
load().catch(showProblem);
