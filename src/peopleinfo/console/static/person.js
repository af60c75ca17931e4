// Shows all fields of a person.

import { call } from "./api.js";
import { $, h, on, put } from "./dom.js";
import { leaveTo, notify } from "./layout.js";
import { LABELS, FIELDS, showNotFound, birthdate, details, fullName, pageOf, path, versionOf, view } from "./people.js";
import { isPending, scheduleDeletion } from "./undo.js";

const id = decodeURIComponent(location.pathname.split("/")[3]);
let person;

function show(read) {
  person = read;
  document.title = `${fullName(person)} – PeopleInfo`;
  put("#name", fullName(person));
  const present = FIELDS.filter((name) => person[name] !== undefined);
  $("#fields").replaceChildren(...present.flatMap((name) => line(LABELS[name], name === "person_birthdate" ? birthdate(person[name]) : person[name])));
  const more = Object.entries(details(person)).filter(([name]) => !FIELDS.includes(name));
  $("#more").replaceChildren(...more.flatMap(([name, value]) => line(name, value)));
  $("#other").hidden = !more.length;
  put("#id", id);
  put("#version", versionOf(person));
  for (const name of ["created_at", "updated_at"]) put(`#${name}`, new Date(person[name]).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }));
  $("#edit").href = `${pageOf(id)}/edit`;
  $("#person").hidden = $("#actions").hidden = false;
  mark();
}

const line = (name, value) => [h("dt", null, name || "(no name)"), h("dd", null, view(value))];

const mark = () => ($("#delete").disabled = isPending(id));

on("#copy", "click", async () => {
  await navigator.clipboard.writeText(id);
  notify("ID copied.");
});
on("#delete", "click", () => {
  scheduleDeletion(id, versionOf(person));
  leaveTo("/console");
});
addEventListener("deletions", mark);
on("#back", "click", (event) => {
  if (!document.referrer.endsWith("/console")) return;
  event.preventDefault();
  history.back(); // restores the search
});
call("GET", path(id)).then(show, showNotFound);
