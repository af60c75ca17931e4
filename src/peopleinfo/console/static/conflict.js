// Conflict resolution: two versions of a person side by side, with a choice for each field.

import { $, $$, copy, h } from "./dom.js";
import { same } from "./json.js";
import { label, view } from "./people.js";

const form = $("#conflict");
const equal = (a, b, name) => Object.hasOwn(a, name) === Object.hasOwn(b, name) && same(a[name], b[name]);

/**
 * Let the user choose between `theirs` and `mine`, two versions derived from `base`. Fields that only one side changed are selected.
 * Returns the selected fields, or null if the user discards `mine`.
 */
export function choose(base, theirs, mine) {
  const names = Object.keys({ ...theirs, ...mine }).filter((name) => !equal(theirs, mine, name));
  $("tbody", form).replaceChildren(...names.map((name) => {
    const chosen = equal(theirs, base, name) ? mine : equal(mine, base, name) && theirs;
    const cells = [["Current", theirs], ["Yours", mine]].map(([title, fields]) => choice(name, title, fields, fields === chosen));
    return h("tr", null, h("th", { scope: "row" }, label(name)), cells);
  }));
  form.hidden = false;
  $("h2", form).focus();
  return new Promise((resolve) => {
    form.onreset = () => resolve(null);
    form.onsubmit = (event) => {
      event.preventDefault();
      const mineNames = new Set($$("[value=Yours]:checked", form).map((input) => input.dataset.field));
      const chosen = (fields, isMine) => Object.entries(fields).filter(([name]) => mineNames.has(name) === isMine);
      resolve(Object.fromEntries([...chosen(theirs, false), ...chosen(mine, true)]));
    };
  }).finally(() => (form.hidden = true));
}

function choice(name, title, fields, checked) {
  const cell = copy("choice");
  const input = $("input", cell);
  cell.dataset.of = title;
  Object.assign(input, { name: `choice ${name}`, value: title, checked, ariaLabel: `${label(name)}: ${title}` });
  input.dataset.field = name;
  $("span", cell).append(Object.hasOwn(fields, name) ? view(fields[name]) : h("span.soft", null, "no value"));
  return cell;
}
