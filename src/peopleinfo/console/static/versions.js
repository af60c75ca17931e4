// The history of a person: its versions, the differences between them, and the restore of an earlier one.

import { call } from "./api.js";
import { $, h, on } from "./dom.js";
import { notify } from "./notifications.js";
import { details, label, moment, path, versionOf, view } from "./people.js";

const list = $("#versions");

/** Show the versions of a person, the latest one first and open; `show` receives the person after a restore. */
export async function showVersions(person, show) {
  const url = `${path(person.person_id)}/history`;
  const versions = [];
  let cursor = "";
  do {
    const page = await call("GET", `${url}?limit=1000&${cursor}`);
    versions.push(...page.versions);
    cursor = page.next_cursor && `cursor=${page.next_cursor}`;
  } while (cursor);
  list.replaceChildren(...versions.map((version, at) => entry(url, version, versions[at - 1], person, show)).reverse());
  $("details", list).open = true;
}

function entry(url, summary, before, person, show) {
  const { version, at, by, operation, fields } = summary;
  const changed = [operation, by && `by ${by}`, fields?.length && `– ${fields.map(label).join(", ")}`].filter(Boolean).join(" ");
  const head = h("summary", null, h("b", null, `Version ${version.rawJSON}`), h("span.soft", null, moment(at)), h("span", null, changed));
  const box = h("details", null, head);
  box.ontoggle = async () => {
    box.ontoggle = null;
    const read = (one) => (one ? call("GET", `${url}/${one.version.rawJSON}`) : {});
    const [old, now] = await Promise.all([read(fields && before), read(summary)]);
    const names = fields ?? Object.keys(details(now));
    box.append(names.length ? table(names, old, now) : h("p.soft", null, "All fields are as in the version before."));
    if ("restore" in list.dataset && version.rawJSON !== versionOf(person)) box.append(button(version, person, show));
  };
  return h("li.card", null, box);
}

function table(names, old, now) {
  const head = ["Field", "Before", "After"];
  const cell = (at, tag, value, name) => h("td", { "data-of": head[at] }, h(tag, null, value === undefined ? "–" : view(value, name)));
  const rows = names.map((name) => h("tr", null, h("th", { scope: "row" }, label(name)), cell(1, "del", old[name], name), cell(2, "ins", now[name], name)));
  return h("table.compare", null, h("thead", null, h("tr", null, head.map((title) => h("th", { scope: "col" }, title)))), h("tbody", null, rows));
}

function button(version, person, show) {
  const number = version.rawJSON;
  const back = h("button.small", { type: "button" }, "Bring this back", h("span.hidden", null, `: version ${number}`));
  on(back, "click", async () => {
    try {
      const restored = await call("POST", `${path(person.person_id)}/restore`, { headers: { "If-Match": `"${versionOf(person)}"` }, body: { version } });
      notify(`Version ${number} is back as version ${versionOf(restored)}.`);
      show(restored);
      await showVersions(restored, show);
      $("summary", list).focus();
    } catch (reason) {
      notify(reason.status === 412 ? "The record has changed. Open it again." : reason.message, "bad");
    }
  });
  return back;
}
