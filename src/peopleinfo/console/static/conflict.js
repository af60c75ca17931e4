// Two versions of a person side by side, and for each member a choice.

import { $, $$, copy, h } from "./dom.js";
import { same } from "./json.js";
import { LABELS, view } from "./people.js";

const form = $("#conflict");
const alike = (a, b, name) => Object.hasOwn(a, name) === Object.hasOwn(b, name) && same(a[name], b[name]);

/**
 * Let choose where `theirs` and `mine`, both made of `base`, differ; what only one side has changed is chosen already.
 * Returns the members that were chosen, or null when mine are given up.
 */
export function choose(base, theirs, mine) {
  const names = Object.keys({ ...theirs, ...mine }).filter((name) => !alike(theirs, mine, name));
  $("tbody", form).replaceChildren(...names.map((name) => {
    const chosen = alike(theirs, base, name) ? mine : alike(mine, base, name) && theirs;
    const label = LABELS[name] ?? (name || "(no name)");
    const sides = [["Stored now", theirs], ["Yours", mine]].map(([title, members]) => choice(name, label, title, members, members === chosen));
    return h("tr", null, h("th", { scope: "row" }, label), sides);
  }));
  form.hidden = false;
  $("h2", form).focus();
  return new Promise((resolve) => {
    form.onreset = () => resolve(null);
    form.onsubmit = (event) => {
      event.preventDefault();
      const mines = new Set($$("[value=Yours]:checked", form).map((input) => input.dataset.member));
      const chosen = (members, ours) => Object.entries(members).filter(([name]) => mines.has(name) === ours);
      resolve(Object.fromEntries([...chosen(theirs, false), ...chosen(mine, true)]));
    };
  }).finally(() => (form.hidden = true));
}

function choice(name, label, title, members, checked) {
  const cell = copy("choice");
  const input = $("input", cell);
  cell.dataset.of = title;
  Object.assign(input, { name: `choice ${name}`, value: title, checked, ariaLabel: `${label}: ${title}` });
  input.dataset.member = name;
  $("span", cell).append(Object.hasOwn(members, name) ? view(members[name]) : h("span.soft", null, "not there"));
  return cell;
}
