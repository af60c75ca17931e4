// Shows all fields of a person, with links to the previous and the next one of the latest results.

import { call } from "./api.js";
import { $, $$, h, on, put } from "./dom.js";
import { offerExports } from "./download.js";
import { leaveTo } from "./leave.js";
import { notify } from "./notifications.js";
import { FIELDS, showNotFound, details, fullName, label, moment, pageOf, path, versionOf, view } from "./people.js";
import { latestResults, neighbours } from "./results.js";
import { pendingIds, scheduleDeletion } from "./undo.js";

const id = decodeURIComponent(location.pathname.split("/")[3]);
const list = `/console${latestResults().fragment}`;
const TABS = ["#history", "#duplicates"];
let person;

function show(read) {
  person = read;
  document.title = `${fullName(person)} – PeopleInfo`;
  put("#name", fullName(person));
  const present = FIELDS.filter((name) => person[name] !== undefined);
  $("#fields").replaceChildren(...present.flatMap((name) => line(name, person[name])));
  const more = Object.entries(details(person)).filter(([name]) => !FIELDS.includes(name));
  $("#more").replaceChildren(...more.flatMap(([name, value]) => line(name, value)));
  $("#other").hidden = !more.length;
  put("#id", id);
  put("#version", versionOf(person));
  for (const name of ["created_at", "updated_at"]) put(`#${name}`, moment(person[name]));
  $("#edit").href = `${pageOf(id)}/edit`;
  $("#person").hidden = $("#actions").hidden = $("#tabs").hidden = false;
  mark();
}

/** Show the details, the history or the duplicates; the fragment of the page names the latter two. */
async function select(name) {
  for (const tab of $$("[role=tab]")) {
    const isSelected = tab.id === `${name}-tab`;
    tab.ariaSelected = isSelected;
    tab.tabIndex = isSelected - 1;
    $(`#${tab.id.slice(0, -4)}`).hidden = !isSelected;
  }
  history.replaceState(null, "", name === "details" ? location.pathname : `#${name}`);
  if (name === "history") await (await import("./versions.js")).showVersions(person, show);
  if (name === "duplicates") await (await import("./person_duplicates.js")).showDuplicates(person);
}

const line = (name, value) => [h("dt", null, label(name)), h("dd", null, view(value, name))];

const mark = () => ($("#delete").disabled = pendingIds().has(id));

async function showNeighbours() {
  const found = await neighbours(id);
  $("#pager").hidden = !found;
  if (!found) return;
  for (const side of ["previous", "next"]) {
    if (found[side]) $(`#${side}`).href = pageOf(found[side]);
    else $(`#${side}`).removeAttribute("href");
  }
  put("#position", `${found.position} of ${found.count}${found.isPartial ? "+" : ""}`);
}

/** Copy the id; without access to the clipboard, select it for the user. */
async function copyId() {
  try {
    await navigator.clipboard.writeText(id);
    notify("ID copied.");
  } catch {
    getSelection().selectAllChildren($("#id"));
    notify("The browser does not allow copying. Copy the selected ID with the keyboard.", "bad");
  }
}

on("#copy", "click", copyId);
offerExports("#export", () => ({ person_ids: [id] }));
on("#tabs", "click", ({ target }) => target.id !== "tabs" && select(target.id.slice(0, -4)));
on("#tabs", "keydown", ({ key, target }) => {
  if (!/^Arrow(Left|Right)$/.test(key)) return;
  const tabs = $$("[role=tab]");
  const other = tabs.at((tabs.indexOf(target) + (key === "ArrowLeft" ? -1 : 1)) % tabs.length);
  other.focus();
  other.click();
});
on("#print", "click", () => print());
on("#delete", "click", () => {
  scheduleDeletion([{ id, version: versionOf(person) }]);
  leaveTo(list);
});
addEventListener("deletions", mark);
addEventListener("beforeprint", () => $$("details.nested").forEach((details) => (details.open = true)));
$("#back").href = list;
on("#back", "click", (event) => {
  if (!document.referrer.endsWith("/console")) return;
  event.preventDefault();
  history.back(); // restores the position in the list
});
/** Show the person. The API answers the id of a merged record with its survivor; the page shows the record before the merge. */
async function load() {
  const read = await call("GET", path(id));
  show(read.person_id === id ? read : await (await import("./person_duplicates.js")).showMerged(id, read));
}

load().catch(showNotFound).then(showNeighbours).then(() => person && TABS.includes(location.hash) && select(location.hash.slice(1)));
