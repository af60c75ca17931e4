// The list of results: a table with a choice of columns, their order, and the selection of people.

import { $, $$, copy, h, on, put } from "./dom.js";
import { birthdate, fullName, LABELS, moment, pageOf, SERVER_FIELDS, versionOf } from "./people.js";
import { pendingIds } from "./undo.js";

const STANDARD = { person_birthdate: LABELS.person_birthdate, person_address: LABELS.person_address, updated_at: "Changed" };
const MAX_FIELDS = 12; // custom fields in the choice of columns
const table = $("#results");
const body = $("tbody", table);
const choice = $("#columns");
const people = new Map(); // id → person
const selected = new Set();
const collator = new Intl.Collator();
let order = ""; // the name of the column by which the list is sorted, with "-" for the reverse order
let columns = JSON.parse(localStorage.getItem("columns")) ?? ["person_birthdate", "person_address"];

export const count = () => people.size;
export const ids = () => $$(".row", body).map(({ dataset }) => dataset.id);
export const links = () => $$(".who", body);
export const selectedPeople = () => [...selected].map((id) => ({ id, version: versionOf(people.get(id)) }));

export function clear() {
  people.clear();
  body.replaceChildren();
  select([]);
}

/** Append people; `notes` has a remark for some of them. */
export function append(more, notes) {
  const fresh = more.map((person, at) => [person, notes[at]]).filter(([{ person_id }]) => !people.has(person_id));
  for (const [person] of fresh) people.set(person.person_id, person);
  body.append(...fresh.map(([person, note]) => row(person, note)));
  if (order) sort(order);
  offerColumns();
  mark();
  showSelection();
}

export function remove(id) {
  people.delete(id);
  selected.delete(id);
  rowOf(id)?.remove();
  showSelection();
}

/** Sort the list by a column; people without a value come last. "" keeps the order of the results, and so does `isInOrder`: the server has sorted them. */
export function sort(by, isInOrder = false) {
  order = isInOrder ? "" : by;
  const name = by.replace("-", "");
  for (const head of $$("[role=columnheader]", table)) head.ariaSort = head.dataset.name === name ? (by === name ? "ascending" : "descending") : null;
  if (isInOrder) return;
  const keys = new Map([...people.values()].map((person) => [person.person_id, keyOf(person, name)]));
  const sign = by === name ? 1 : -1;
  const compare = (a, b) => !keys.get(a) - !keys.get(b) || sign * collator.compare(keys.get(a), keys.get(b));
  const sorted = by ? [...people.keys()].sort(compare) : [...people.keys()];
  const rows = new Map([...body.children].map((item) => [item.dataset.id, item]));
  body.append(...sorted.map((id) => rows.get(id)));
}

/** Return the text by which a person is sorted: an unknown year of birth counts as no value. */
function keyOf(person, name) {
  if (name === "name") return [person.person_surname, person.person_name].filter(Boolean).join(" ");
  return textOf(person[name]).replace(/^--.*/, "");
}

const rowOf = (id) => $(`[data-id="${CSS.escape(id)}"]`, body);

function row(person, note) {
  const item = copy("row");
  const [box, badge, who] = $$("input, .badge, .who", item);
  const names = [person.person_surname, person.person_name].filter(Boolean);
  item.dataset.id = person.person_id;
  box.ariaLabel = `Select ${fullName(person)}`;
  badge.textContent = names.map((name) => /[\p{L}\p{N}]/u.exec(name)?.[0]).reverse().join("").toUpperCase() || "?";
  badge.style.setProperty("--hue", parseInt(person.person_id.slice(-4), 36) % 360);
  who.textContent = names.join(", ") || "(no name)";
  if (note) who.after(h("span.tag", null, note));
  who.href = pageOf(person.person_id);
  item.append(...columns.map((name) => cell(name, person[name])));
  return item;
}

function cell(name, value) {
  const text = name === "person_birthdate" ? birthdate(value) : SERVER_FIELDS.includes(name) ? moment(value) : textOf(value);
  return h("td.soft.line", { role: "cell" }, text);
}

/** Return a value in one line. */
function textOf(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value.replace(/\s*\n\s*/g, ", ");
  return value.rawJSON ?? JSON.stringify(value);
}

/** Offer the standard columns, the chosen ones and the custom fields of the people on the page. */
function offerColumns() {
  const custom = [...people.values()].slice(-100).flatMap(Object.keys).filter((name) => !SERVER_FIELDS.includes(name) && !LABELS[name]);
  const names = [...new Set([...Object.keys(STANDARD), ...columns, ...custom])].slice(0, Object.keys(STANDARD).length + MAX_FIELDS);
  choice.replaceChildren(...names.map((name) => {
    const box = h("input", { type: "checkbox", value: name });
    box.checked = columns.includes(name);
    return h("label.check", null, box, STANDARD[name] ?? name);
  }));
}

function heading(name) {
  return h("th", { scope: "col", role: "columnheader", "data-name": name }, STANDARD[name] ? h("button.link", { type: "button" }, STANDARD[name]) : name);
}

function showColumns() {
  table.style.setProperty("--columns", columns.map((name) => (name === "person_address" ? "minmax(0, 2fr)" : "minmax(0, 1fr)")).join(" "));
  $("thead tr", table).replaceChildren(...$$("thead tr > :nth-child(-n+2)", table), ...columns.map(heading));
  for (const item of body.children) item.replaceChildren(...[...item.children].slice(0, 2), ...columns.map((name) => cell(name, people.get(item.dataset.id)[name])));
}

/** Mark people with a pending deletion. */
export function mark() {
  const pending = pendingIds();
  for (const item of body.children) item.classList.toggle("going", pending.has(item.dataset.id));
}

export function select(ids) {
  selected.clear();
  for (const id of ids) selected.add(id);
  showSelection();
}

function showSelection() {
  for (const item of body.children) $("input", item).checked = selected.has(item.dataset.id);
  const all = $("#select-all");
  all.checked = people.size > 0 && selected.size === people.size;
  all.indeterminate = selected.size > 0 && !all.checked;
  put("#selected", `${selected.size.toLocaleString("en")} selected`);
  $("#selection").hidden = !selected.size;
}

let latest = null; // the id of the box that was changed last
on(body, "click", (event) => {
  const box = event.target.closest("input");
  if (!box) return;
  const rows = [...body.children];
  const [from, to] = [rows.findIndex(({ dataset }) => dataset.id === latest), rows.indexOf(box.closest("tr"))].sort((a, b) => a - b);
  const changed = event.shiftKey && from >= 0 ? rows.slice(from, to + 1) : [box.closest("tr")];
  for (const { dataset } of changed) box.checked ? selected.add(dataset.id) : selected.delete(dataset.id);
  latest = box.closest("tr").dataset.id;
  showSelection();
});
on("#select-all", "change", ({ target }) => select(target.checked ? people.keys() : []));
on("#clear-selection", "click", () => select([]));
on(choice, "change", () => {
  columns = $$("input:checked", choice).map(({ value }) => value);
  localStorage.setItem("columns", JSON.stringify(columns));
  showColumns();
  if (order) sort(order);
});
showColumns();
