// The undo of a merge. For values that were edited after the merge, a dialog asks which record keeps the edit.

import { call } from "./api.js";
import { $, $$, h } from "./dom.js";
import { fullName, label, path, view } from "./people.js";

const dialog = $("#undo-merge");

/** Undo a merge. Returns the records, or null if the user cancels. Throws Problem. */
export async function undoMerge(id, keep = {}) {
  try {
    return await call("POST", `/v1/merges/${id}/undo`, { body: { keep }, retry: true });
  } catch (problem) {
    if (!problem.fields) throw problem;
    const decisions = await decide(id, problem.fields);
    return decisions && undoMerge(id, { ...keep, ...decisions });
  }
}

/** Ask for the record that keeps each edit; resolves to null if the user cancels. */
async function decide(id, fields) {
  const { survivor, merged } = await call("GET", `/v1/merges/${id}`);
  const version = survivor.version.rawJSON - 1;
  const [now, before, ...others] = await Promise.all([
    call("GET", path(survivor.person_id)),
    call("GET", `${path(survivor.person_id)}/history/${version}`).catch(() => ({})),
    ...merged.map(({ person_id }) => recordBefore(person_id)),
  ]);
  $("#undo-fields").replaceChildren(...fields.map((name) => question(name, now, before, others)));
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => {
      const chosen = $$("#undo-fields input:checked").map(({ name, value }) => [name, value]);
      resolve(dialog.returnValue ? Object.fromEntries(chosen) : null);
    };
  });
}

/** Return a merged record as it was before its merge. */
export const recordBefore = (id) => call("GET", `${path(id)}?as=merged`);

function question(name, now, before, others) {
  const value = (person) => (Object.hasOwn(person, name) ? view(person[name], name) : "no value");
  const names = others.map(fullName).join(", ");
  const choices = [
    ["survivor", `${fullName(before.version ? before : now)} keeps it`, ["Before the merge: ", value(before)]],
    ["merged", `${names} ${others.length > 1 ? "keep" : "keeps"} it`, ["Before the merge: ", ...others.map(value)]],
    ["both", "Both keep it", []],
  ];
  return h("fieldset", null, h("legend", null, label(name)), h("p", null, "Now: ", value(now)), choices.map(([record, text, hint]) =>
    h("label.choice", null, h("input", { type: "radio", name, value: record, required: "" }), h("span", null, text, h("span.hint", null, hint))),
  ));
}
