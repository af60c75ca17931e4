// A person: all that is known, as it was sent.

import { call } from "./api.js";
import { $, h, on, put } from "./dom.js";
import { go, say } from "./frame.js";
import { LABELS, OWN, absent, birthdate, details, fullName, pageOf, path, versionOf, view } from "./people.js";
import { isGoing, remove } from "./removals.js";

const id = decodeURIComponent(location.pathname.split("/")[3]);
let person;

function show(read) {
  person = read;
  document.title = `${fullName(person)} – PeopleInfo`;
  put("#name", fullName(person));
  const own = OWN.filter((name) => person[name] !== undefined);
  $("#own").replaceChildren(...own.flatMap((name) => line(LABELS[name], name === "person_birthdate" ? birthdate(person[name]) : person[name])));
  const more = Object.entries(details(person)).filter(([name]) => !OWN.includes(name));
  $("#more").replaceChildren(...more.flatMap(([name, value]) => line(name, value)));
  $("#further").hidden = !more.length;
  put("#id", id);
  put("#version", versionOf(person));
  for (const name of ["created_at", "updated_at"]) put(`#${name}`, new Date(person[name]).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }));
  $("#edit").href = `${pageOf(id)}/edit`;
  $("#person").hidden = $("#actions").hidden = false;
  mark();
}

const line = (name, value) => [h("dt", null, name || "(no name)"), h("dd", null, view(value))];

const mark = () => ($("#remove").disabled = isGoing(id));

on("#copy", "click", async () => {
  await navigator.clipboard.writeText(id);
  say("The id has been copied.");
});
on("#remove", "click", () => {
  remove(id, versionOf(person));
  go("/console");
});
addEventListener("removals", mark);
on("#back", "click", (event) => {
  if (!document.referrer.endsWith("/console")) return;
  event.preventDefault();
  history.back(); // to the search as it was left
});
call("GET", path(id)).then(show, absent);
