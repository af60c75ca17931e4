// The form that merges a pair: the record that remains, the source of each value, and the resulting record.

import { call, newKey } from "./api.js";
import { $, $$, debounce, h, on } from "./dom.js";
import { details, fullName, label, moment, versionOf, view } from "./people.js";
import { differ, fieldsOf, shown } from "./pair.js";

const PREVIEW_DELAY = 150;
const form = $("#merge");
let people = [];
let touched;

/** Show the form for two people, and resolve to the result of the merge, or to null if the user goes back. */
export function mergeForm(pair) {
  people = pair;
  touched = new Set();
  const names = fieldsOf(people).filter((name) => differ(name, people));
  const eldest = people[0].created_at <= people[1].created_at ? 0 : 1;
  $("#survivors").replaceChildren(...people.map((person, at) => survivor(person, at === eldest)));
  const heads = people.map((person) => h("th", { scope: "col" }, fullName(person), h("span.hint", null, `Added ${moment(person.created_at)}`)));
  const head = h("tr", null, h("td", null, h("span.hidden", null, "Field")), heads);
  const rows = names.map((name) => h("tr", null, h("th", { scope: "row" }, label(name)), people.map((_, at) => source(name, at))));
  $("#sources").replaceChildren(h("thead", null, head), h("tbody", null, rows));
  $("#differences").hidden = !names.length;
  form.hidden = false;
  preselect();
  preview();
  $("#survivors input:checked").focus();
  return new Promise((resolve, reject) => {
    form.onreset = () => resolve(null);
    form.onsubmit = (event) => {
      event.preventDefault();
      form.inert = true;
      call("POST", "/v1/merges", { body: request(), headers: { "Idempotency-Key": newKey() }, retry: true }).then(resolve, reject);
    };
  }).finally(() => (form.hidden = !(form.inert = false)));
}

export const closeMerge = () => form.hidden || form.reset();

function survivor(person, checked) {
  const input = h("input", { type: "radio", name: "survivor", value: person.person_id, ...(checked && { checked: "" }) });
  const text = h("span", null, fullName(person), h("span.hint", null, `Added ${moment(person.created_at)}, version ${versionOf(person)}`));
  return h("label.choice", null, input, text);
}

function source(name, at) {
  const person = people[at];
  const input = h("input", { type: "radio", name: `source ${name}`, value: person.person_id, "aria-label": `${label(name)} of record ${at + 1}` });
  input.dataset.field = name;
  return h("td", null, h("label.choice", null, input, h("span", null, shown(name, person, people[1 - at]))));
}

const survivorId = () => $("#survivors input:checked").value;

/** Select the survivor's values, and those that it lacks from the other record, where the user has not chosen. */
function preselect() {
  const id = survivorId();
  const [first, other] = people[0].person_id === id ? people : [...people].reverse();
  for (const input of $$("#sources input")) {
    const { field } = input.dataset;
    const { person_id } = Object.hasOwn(first, field) ? first : other;
    if (!touched.has(field)) input.checked = input.value === person_id;
  }
}

function request() {
  const id = survivorId();
  const named = people.map(({ person_id, version }) => ({ person_id, version }));
  const take = Object.fromEntries($$("#sources input:checked").map(({ dataset, value }) => [dataset.field, value]));
  return { survivor: named.find(({ person_id }) => person_id === id), merged: named.filter(({ person_id }) => person_id !== id), take };
}

let latest = new AbortController();
async function preview() {
  latest.abort();
  const { signal } = (latest = new AbortController());
  try {
    const { survivor } = await call("POST", "/v1/merges", { body: { ...request(), preview: true }, signal, retry: true });
    const rows = Object.entries(details(without(survivor))).flatMap(([name, value]) => [h("dt", null, label(name)), h("dd", null, view(value, name))]);
    $("#result").replaceChildren(...rows);
  } catch (problem) {
    if (!signal.aborted) $("#result").replaceChildren(h("dt", null, "Problem"), h("dd", null, problem.message));
  }
}

const without = ({ replaces, ...person }) => person;

const previewSoon = debounce(PREVIEW_DELAY, preview);
on(form, "change", ({ target }) => {
  if (target.name === "survivor") preselect();
  else touched.add(target.dataset.field);
  previewSoon();
});
