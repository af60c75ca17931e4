// Adds and edits a person. The input stays in the form, and in a draft, until it is stored.

import { call, isUnavailable, newKey } from "./api.js";
import { choose } from "./conflict.js";
import { $, $$, copy, h, on, put } from "./dom.js";
import { dropDraft, findDraft, keepDraft } from "./draft.js";
import { leaveTo, guard } from "./leave.js";
import { notifyNext } from "./notifications.js";
import { parse, patchFor, same, write } from "./json.js";
import { watchSimilar } from "./similar.js";
import { LABELS, FIELDS, SERVER_FIELDS, showNotFound, details, fullName, moment, pageOf, path, versionOf } from "./people.js";

const at = location.pathname.split("/");
const id = at[4] === "edit" ? decodeURIComponent(at[3]) : null;
const form = $("#form");
let key = newKey(); // the draft has it too
let known; // the person as read from the server
let mayRetry = false; // the last request failed because of an outage
let rowCount = 0;

async function load() {
  let title = "Add a person";
  if (id) {
    known = await call("GET", path(id)).catch(showNotFound);
    if (!known) return;
    $("#cancel").href = $("#back").href = pageOf(id);
    $("#back span").textContent = fullName(known);
    title = `Edit ${fullName(known)}`;
  }
  put("#title", title);
  document.title = `${title} – PeopleInfo`;
  fill(known ? details(known) : {});
  form.hidden = false;
  if (!id) form.elements.person_name.focus();
  guard(isUnsaved);
  offerDraft();
}

const isUnsaved = () => !same(readForm([]), known ? details(known) : {});

function fill(values) {
  const rows = Object.entries(values).filter(([name]) => !FIELDS.includes(name));
  fillTexts(values, rows.map(([name, value]) => (typeof value === "string" ? [name, value, "text"] : [name, write(value, 2), "json"])));
}

function fillTexts(values, rows) {
  for (const name of FIELDS) form.elements[name].value = values[name] ?? "";
  $("#other-fields").replaceChildren(...rows.map((row) => fieldRow(...row)));
}

/** Keep the input in the draft while it differs from the stored person. */
function keep() {
  if (!isUnsaved()) return dropDraft();
  const values = Object.fromEntries(FIELDS.map((name) => [name, form.elements[name].value]));
  const rows = [...$("#other-fields").children].map((row) => $$("input, textarea, select", row).map(({ value }) => value));
  keepDraft({ values, rows, key, known: known && write(known) });
}

/** Offer the draft of an earlier visit. The form is inert until the user decides, so that no input replaces the draft. */
function offerDraft() {
  const draft = findDraft();
  if (!draft) return;
  const box = $("#draft");
  put("#draft time", moment(draft.time));
  box.hidden = !(form.inert = true);
  $("button", box).focus();
  const decide = (act) => (event) => {
    event.preventDefault();
    act(draft.content);
    form.inert = !(box.hidden = true);
    form.elements.person_name.focus();
  };
  box.onsubmit = decide(restore);
  box.onreset = decide(dropDraft);
}

/** Restore a draft with the version that the user edited; a later change of the person leads to the conflict page. */
function restore({ values, rows, key: draftKey, known: before }) {
  key = draftKey;
  if (before) known = parse(before);
  fillTexts(values, rows);
}

/** Create the row of a custom field with the given name, text and type. */
function fieldRow(name = "", value = "", type = "text") {
  const row = copy("field");
  const [input, area, kind] = $$("input, textarea, select", row);
  row.ariaLabel = name || "New field";
  on(input, "input", () => (row.ariaLabel = input.value || "New field"));
  input.value = name;
  kind.value = type;
  area.value = value;
  for (const field of [input, area]) field.id = `field-${++rowCount}`;
  on($("button", row), "click", () => (row.remove(), keep(), $("#add").focus()));
  return row;
}

/** Return the fields in the form; add invalid ones to `wrong`, each as an input and a reason. */
function readForm(wrong) {
  const values = new Map();
  for (const name of FIELDS) if (form.elements[name].value.trim()) values.set(name, text(name, form.elements[name]));
  for (const row of $("#other-fields").children) {
    const [input, area, kind] = $$("input, textarea, select", row);
    const name = input.value;
    if (!name && !area.value) continue;
    if (FIELDS.includes(name) || SERVER_FIELDS.includes(name)) wrong.push([input, "is a reserved name: choose another one"]);
    else if (values.has(name)) wrong.push([input, "is used twice: each name must be unique"]);
    try {
      values.set(name, kind.value === "text" ? text(name, area) : parse(area.value));
    } catch {
      wrong.push([area, "is not JSON. Examples: 12, true, null, [1, 2] or {\"a\": 1}. For text, select the type Text"]);
    }
  }
  return Object.fromEntries(values);
}

/** Return the text of an input; an unchanged text keeps its original line ends, which inputs normalize. */
function text(name, { value }) {
  const before = known?.[name];
  return typeof before === "string" && before.replace(/\r\n?/g, "\n") === value ? before : value;
}

async function save() {
  clear();
  mayRetry = false;
  const wrong = [];
  const values = readForm(wrong);
  if (wrong.length) return explain("Check your input", wrong);
  $("#save").ariaDisabled = "true";
  try {
    const person = await (id ? change(values) : call("POST", "/v1/people", { body: values, headers: { "Idempotency-Key": key } }));
    dropDraft();
    notifyNext(id ? "Saved." : `${fullName(person)} has been added.`);
    leaveTo(pageOf(person.person_id));
  } catch (reason) {
    showError(reason, values);
  } finally {
    $("#save").ariaDisabled = null;
  }
}

/** Send only the changed fields, so that fields hidden from this user keep their values. */
async function change(values) {
  const before = details(known);
  if (same(before, values)) return known;
  const headers = { "If-Match": `"${versionOf(known)}"` };
  const patch = patchFor(before, values);
  if (patch) return call("PATCH", path(id), { body: patch, type: "application/merge-patch+json", headers });
  return call("PUT", path(id), { body: values, headers });
}

function showError(reason, values) {
  if (reason.status === undefined) throw reason;
  if (reason.status === 412) return conflict(values);
  if (reason.status === 404) return explain("This person has been deleted", [], "Your input is still here: copy it, or add the person again.");
  if (reason.errors.length) return explain("Check your input", reason.errors.map(inputsOf));
  if (!isUnavailable(reason)) return explain("Not saved", [], reason.message);
  mayRetry = true;
  offerRetry("Not saved: the server does not respond", "Your input is still in the form.", "Try again");
}

function offerRetry(title, hint, label) {
  explain(title, [], hint);
  const retry = h("button", { type: "button" }, label);
  on(retry, "click", save);
  $("#problem").append(retry);
}

/** Return an error of the server as the input that it refers to, the reason, and other inputs that the error refers to. */
function inputsOf({ pointer, reason }) {
  const [first, ...others] = FIELDS.filter((name) => !pointer && reason.includes(name)).map((name) => form.elements[name]);
  if (first) return [first, "enter a first name or a surname", others];
  const name = pointer.slice(1).split("/")[0].replaceAll("~1", "/").replaceAll("~0", "~");
  const row = [...$("#other-fields").children].find((row) => $("input", row).value === name);
  return [FIELDS.includes(name) ? form.elements[name] : pointer && row && $("textarea", row), reason];
}

function explain(title, wrong, hint) {
  const items = wrong.map(([field, reason, others = []]) => {
    if (!field) return h("li", null, `The person ${reason}.`);
    field.closest(".field").append(h("p.wrong", { id: `${field.id}-wrong` }, `${reason[0].toUpperCase()}${reason.slice(1)}.`));
    for (const input of [field, ...others]) {
      input.ariaInvalid = "true";
      describe(input, `${field.id}-wrong ${input.getAttribute("aria-describedby") ?? ""}`);
    }
    const link = h("a", { href: `#${field.id}` }, `${LABELS[field.id] ?? field.closest(".custom").ariaLabel}: ${reason}`);
    on(link, "click", (event) => (event.preventDefault(), field.focus()));
    return h("li", null, link);
  });
  const box = $("#problem");
  box.replaceChildren(h("h2", null, title), hint ? h("p", null, hint) : "", items.length ? h("ul", null, items) : "");
  box.hidden = false;
  box.focus();
}

function clear() {
  $("#problem").hidden = true;
  for (const note of $$(".wrong", form)) note.remove();
  for (const field of $$("[aria-invalid]", form)) {
    field.ariaInvalid = null;
    describe(field, field.getAttribute("aria-describedby").replace(/\S+-wrong/, ""));
  }
}

const describe = (field, ids) => field.setAttribute("aria-describedby", ids.trim());

/** Show both versions after a version conflict, let the user choose, and save the selection. */
async function conflict(mine) {
  const base = details(known);
  try {
    known = await call("GET", path(id));
  } catch (reason) {
    return showError(reason, mine);
  }
  const theirs = details(known);
  if (same(theirs, mine)) return save(); // an earlier request of this page succeeded, but its response was lost
  form.hidden = true;
  const chosen = await choose(base, theirs, mine);
  fill(chosen ?? theirs);
  form.hidden = false;
  if (chosen) save();
  else $("#title").focus();
}

on("#add", "click", () => {
  $("#other-fields").append(fieldRow());
  $("input", $("#other-fields").lastChild).focus();
});
on(form, "submit", (event) => {
  event.preventDefault();
  if (!$("#save").ariaDisabled) save();
});
on(form, "input", keep);
if (!id) on(form, "input", watchSimilar(() => readForm([])));
on("#cancel", "click", dropDraft);
addEventListener("recovered", () => mayRetry && offerRetry("The server responds again", "Your input is not saved yet.", "Save"));
load();
