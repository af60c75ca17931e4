// Adding and changing a person. What was typed stays until it is stored.

import { call, isAway } from "./api.js";
import { choose } from "./conflict.js";
import { $, $$, copy, h, on, put } from "./dom.js";
import { go, guard, sayNext } from "./frame.js";
import { parse, patchFor, same, write } from "./json.js";
import { LABELS, OWN, SERVERS, absent, details, fullName, pageOf, path, versionOf } from "./people.js";

const at = location.pathname.split("/");
const id = at[4] === "edit" ? decodeURIComponent(at[3]) : null;
const form = $("#form");
const key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`; // of adding: sent again, it adds nobody twice
let known; // the person as it was read
let fields = 0;

async function load() {
  let title = "Add a person";
  if (id) {
    known = await call("GET", path(id)).catch(absent);
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
  guard(() => !same(typed([]), known ? details(known) : {}));
}

function fill(members) {
  for (const name of OWN) form.elements[name].value = members[name] ?? "";
  $("#further").replaceChildren(...Object.entries(members).filter(([name]) => !OWN.includes(name)).map(([name, value]) => member(name, value)));
}

/** Make the row of a further member. A text is edited as it is, anything else as JSON. */
function member(name = "", value = "") {
  const row = copy("member");
  const [input, area, kind] = $$("input, textarea, select", row);
  row.ariaLabel = name || "New member";
  input.value = name;
  kind.value = typeof value === "string" ? "text" : "json";
  area.value = kind.value === "text" ? value : write(value, 2);
  for (const field of [input, area]) field.id = `further-${++fields}`;
  on($("button", row), "click", () => (row.remove(), $("#add").focus()));
  return row;
}

/** Return what the form says; what cannot be read is put into `wrong`, as a field and a reason. */
function typed(wrong) {
  const members = new Map();
  for (const name of OWN) if (form.elements[name].value.trim()) members.set(name, text(name, form.elements[name]));
  for (const row of $("#further").children) {
    const [input, area, kind] = $$("input, textarea, select", row);
    const name = input.value;
    if (!name && !area.value) continue;
    if (OWN.includes(name) || SERVERS.includes(name)) wrong.push([input, "is the name of a member that has its own place: choose another"]);
    else if (members.has(name)) wrong.push([input, "stands here twice: a name is for one member"]);
    try {
      members.set(name, kind.value === "text" ? text(name, area) : parse(area.value));
    } catch {
      wrong.push([area, "is not JSON: 12, true, null, [1, 2] and {\"a\": 1} are. A text needs no quotes once Text is chosen"]);
    }
  }
  return Object.fromEntries(members);
}

/** Return the text of a field: as it was when nobody changed it, since a field knows bare line feeds alone. */
function text(name, { value }) {
  const before = known?.[name];
  return typeof before === "string" && before.replace(/\r\n?/g, "\n") === value ? before : value;
}

async function save() {
  clear();
  const wrong = [];
  const members = typed(wrong);
  if (wrong.length) return explain("This cannot be saved yet", wrong);
  $("#save").ariaDisabled = "true";
  try {
    const person = await (id ? change(members) : call("POST", "/v1/people", { body: members, headers: { "Idempotency-Key": key } }));
    sayNext(id ? "Saved." : `${fullName(person)} has been added.`);
    go(pageOf(person.person_id));
  } catch (reason) {
    refused(reason, members);
  } finally {
    $("#save").ariaDisabled = null;
  }
}

/** Send what has changed: members that are not shown to us stay as they are. */
async function change(members) {
  const before = details(known);
  if (same(before, members)) return known;
  const headers = { "If-Match": `"${versionOf(known)}"` };
  const patch = patchFor(before, members);
  if (patch) return call("PATCH", path(id), { body: patch, type: "application/merge-patch+json", headers });
  return call("PUT", path(id), { body: members, headers });
}

function refused(reason, members) {
  if (reason.status === undefined) throw reason;
  if (reason.status === 412) return conflict(members);
  if (reason.status === 404) return explain("This person has been removed meanwhile", [], "What you typed is still here: copy it, or add the person again.");
  if (reason.errors.length) return explain("This cannot be saved yet", reason.errors.map(fieldOf));
  if (!isAway(reason)) return explain("Not saved", [], reason.message);
  explain("Not saved yet: the service does not answer", [], "Nothing you typed is lost.");
  const again = h("button", { type: "button" }, "Try again");
  on(again, "click", save);
  $("#problem").append(again);
}

/** Return the field that a reason of the service's is about. */
function fieldOf({ pointer, reason }) {
  const name = pointer.slice(1).split("/")[0].replaceAll("~1", "/").replaceAll("~0", "~");
  const row = [...$("#further").children].find((row) => $("input", row).value === name);
  return [OWN.includes(name) ? form.elements[name] : pointer && row && $("textarea", row), reason];
}

function explain(title, wrong, hint) {
  const items = wrong.map(([field, reason]) => {
    if (!field) return h("li", null, `The person ${reason}.`);
    field.closest(".field").append(h("p.wrong", { id: `${field.id}-wrong` }, `${reason[0].toUpperCase()}${reason.slice(1)}.`));
    field.ariaInvalid = "true";
    describe(field, `${field.id}-wrong ${field.getAttribute("aria-describedby") ?? ""}`);
    const link = h("a", { href: `#${field.id}` }, `${LABELS[field.id] ?? field.closest(".member").ariaLabel}: ${reason}`);
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

/** Somebody was faster: show both, let whoever sits here choose, and save that. */
async function conflict(mine) {
  const base = details(known);
  try {
    known = await call("GET", path(id));
  } catch (reason) {
    return refused(reason, mine);
  }
  const theirs = details(known);
  if (same(theirs, mine)) return save(); // it was us: an answer had been lost
  form.hidden = true;
  const chosen = await choose(base, theirs, mine);
  fill(chosen ?? theirs);
  form.hidden = false;
  if (chosen) save();
  else $("#title").focus();
}

on("#add", "click", () => {
  $("#further").append(member());
  $("input", $("#further").lastChild).focus();
});
on(form, "submit", (event) => {
  event.preventDefault();
  if (!$("#save").ariaDisabled) save();
});
load();
