// Tables of the import page.

import { $, h } from "./dom.js";

/** Show rows in a table: each has the text of its `cells`, and the `kind` of the second one, its result. */
export function sheet(table, names, rows) {
  const body = rows.map(({ cells, kind }) => h("tr", null, cells.map((cell, at) => h(at === 1 ? `td.${kind}` : "td", null, `${cell ?? ""}`))));
  $(table).replaceChildren(h("thead", null, h("tr", null, names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", null, body));
}
