// Adds and edits a person. The input stays in the form until it is stored.

import { call, isUnavailable } from "./api.js";
import { choose } from "./conflict.js";
import { $, $$, copy, h, on, put } from "./dom.js";
import { leaveTo, guard, notifyNext } from "./layout.js";
import { parse, patchFor, same, write } from "./json.js";
import { LABELS, FIELDS, SERVER_FIELDS, showNotFound, details, fullName, pageOf, path, versionOf } from "./people.js";

const at = location.pathname.split("/");
const id = at[4] === "edit" ? decodeURIComponent(at[3]) : null;
const form = $("#form");
const key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`; // Idempotency-Key, so that a retry creates no duplicate
let known; // the person as read from the server
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
  guard(() => !same(readForm([]), known ? details(known) : {}));
}

function fill(values) {
  for (const name of FIELDS) form.elements[name].value = values[name] ?? "";
  $("#other-fields").replaceChildren(...Object.entries(values).filter(([name]) => !FIELDS.includes(name)).map(([name, value]) => fieldRow(name, value)));
}

/** Create the row of a custom field. Strings are edited as text, other values as JSON. */
function fieldRow(name = "", value = "") {
  const row = copy("field");
  const [input, area, kind] = $$("input, textarea, select", row);
  row.ariaLabel = name || "New field";
  on(input, "input", () => (row.ariaLabel = input.value || "New field"));
  input.value = name;
  kind.value = typeof value === "string" ? "text" : "json";
  area.value = kind.value === "text" ? value : write(value, 2);
  for (const field of [input, area]) field.id = `field-${++rowCount}`;
  on($("button", row), "click", () => (row.remove(), $("#add").focus()));
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
  const wrong = [];
  const values = readForm(wrong);
  if (wrong.length) return explain("Check your input", wrong);
  $("#save").ariaDisabled = "true";
  try {
    const person = await (id ? change(values) : call("POST", "/v1/people", { body: values, headers: { "Idempotency-Key": key } }));
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
  if (reason.errors.length) return explain("Check your input", reason.errors.map(inputOf));
  if (!isUnavailable(reason)) return explain("Not saved", [], reason.message);
  explain("Not saved: the server does not respond", [], "Your input is still in the form.");
  const retry = h("button", { type: "button" }, "Try again");
  on(retry, "click", save);
  $("#problem").append(retry);
}

/** Return the input that an error of the server refers to, and the reason. */
function inputOf({ pointer, reason }) {
  const name = pointer.slice(1).split("/")[0].replaceAll("~1", "/").replaceAll("~0", "~");
  const row = [...$("#other-fields").children].find((row) => $("input", row).value === name);
  return [FIELDS.includes(name) ? form.elements[name] : pointer && row && $("textarea", row), reason];
}

function explain(title, wrong, hint) {
  const items = wrong.map(([field, reason]) => {
    if (!field) return h("li", null, `The person ${reason}.`);
    field.closest(".field").append(h("p.wrong", { id: `${field.id}-wrong` }, `${reason[0].toUpperCase()}${reason.slice(1)}.`));
    field.ariaInvalid = "true";
    describe(field, `${field.id}-wrong ${field.getAttribute("aria-describedby") ?? ""}`);
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
load();
