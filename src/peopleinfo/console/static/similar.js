// Shows stored people that may be the same as the one in the form, while the user types.

import { call } from "./api.js";
import { $, debounce, h } from "./dom.js";
import { toNumber } from "./json.js";
import { birthdate, fullName, pageOf } from "./people.js";

const DELAY = 400; // milliseconds after the last key
const COUNT = 3;
let request = new AbortController();

/** Return the function to call after each input; `read` returns the fields of the form. */
export const watchSimilar = (read) => debounce(DELAY, () => show(read()));

async function show(person) {
  request.abort();
  request = new AbortController();
  const found = isEnough(person) ? await find(person, request.signal) : [];
  if (!found) return;
  $("#similar ul").replaceChildren(...found.map(row));
  $("#similar").hidden = !found.length;
}

/** Return whether the fields can select people: both names, or a birthdate with a name. */
const isEnough = ({ person_name: name, person_surname: surname, person_birthdate: born }) => (name && surname) || (born && (name || surname));

/** Return the candidates, none if the server cannot find any, and undefined if the form changed meanwhile. */
async function find(person, signal) {
  try {
    return (await call("POST", "/v1/people/match", { body: { person, count: COUNT }, signal })).candidates;
  } catch {
    return signal.aborted ? undefined : []; // an incomplete birthdate, or no index of duplicates
  }
}

/** Return the reasons for one person. */
export const reasonsOf = (evidence) => evidence.filter(({ bits }) => toNumber(bits) > 0).map(({ because }) => because).join(", ");

function row({ person, grade, evidence }) {
  const link = h("a", { href: pageOf(person.person_id), target: "_blank", rel: "noopener" }, fullName(person));
  const born = person.person_birthdate ? `, ${birthdate(person.person_birthdate)}` : "";
  return h("li", null, link, `${born} – ${grade}: ${reasonsOf(evidence)}`);
}
