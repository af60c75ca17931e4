// The duplicates of a person: possible ones with their reasons, and the merges, which can be undone.

import { call } from "./api.js";
import { $, h, on, put } from "./dom.js";
import { notifyNext, notifyProblem } from "./notifications.js";
import { recordBefore, undoMerge } from "./merges.js";
import { birthdate, fullName, moment, pageOf, path } from "./people.js";
import { reasonsOf } from "./similar.js";

const mayMerge = "mayMerge" in $("#duplicates").dataset;

/** Show the possible duplicates of a person, and its merges. */
export async function showDuplicates(person) {
  await Promise.all([showMerges(person), showCandidates(person)]);
}

async function showCandidates({ person_id: id }) {
  let text = "No possible duplicates.";
  let found = [];
  try {
    found = (await call("GET", `${path(id)}/duplicates`)).candidates;
  } catch (problem) {
    if (!problem.status) throw problem;
    text = problem.status === 404 ? "This record is merged." : problem.message;
  }
  $("#candidates").replaceChildren(...found.map((candidate) => candidateOf(id, candidate)));
  put("#no-candidates", text);
  $("#no-candidates").hidden = found.length > 0;
}

function candidateOf(id, { person, grade, evidence }) {
  const born = person.person_birthdate && `, ${birthdate(person.person_birthdate)}`;
  const pair = [id, person.person_id].sort().join("");
  const compare = h("a.button.small", { href: `/console/duplicates#${pair}`, "aria-label": `Compare with ${fullName(person)}` }, "Compare");
  const name = h("a", { href: pageOf(person.person_id) }, fullName(person));
  return h("li.card", null, h("div", null, h("b", null, name), born ?? null, h("p.hint", null, `${grade}: ${reasonsOf(evidence)}`)), compare);
}

async function showMerges({ person_id: id }) {
  const { merges } = await call("GET", `${path(id)}/merges`);
  const survived = merges.filter(({ survivor }) => survivor.person_id === id);
  $("#merges").hidden = !survived.length;
  $("#merges ul").replaceChildren(...(await Promise.all(survived.map(mergeOf))));
}

async function mergeOf({ merge_id, merged, at, by, undone_at }) {
  const names = await Promise.all(merged.map(async ({ person_id }) => h("a", { href: pageOf(person_id) }, await nameOf(person_id))));
  const text = [`Merged ${moment(at)}`, by && `by ${by}`, undone_at && `– undone ${moment(undone_at)}`].filter(Boolean).join(" ");
  const button = mayMerge && !undone_at ? h("button.small", { type: "button" }, "Undo this merge") : null;
  if (button) on(button, "click", () => unmerge(merge_id));
  return h("li.card", null, h("div", null, names.flatMap((name, at) => (at ? [", ", name] : [name])), h("p.hint", null, text)), button);
}

const nameOf = (id) => recordBefore(id).then(fullName, () => id);

/** Show that a record is merged into another one, and return it as it was before. */
export async function showMerged(id, survivor) {
  const [record, { merges }] = await Promise.all([recordBefore(id), call("GET", `${path(id)}/merges`)]);
  const merge = merges.find(({ merged, undone_at }) => !undone_at && merged.some(({ person_id }) => person_id === id));
  const link = h("a", { href: pageOf(survivor.person_id) }, fullName(survivor));
  const when = [moment(merge.at), merge.by && `by ${merge.by}`].filter(Boolean).join(" ");
  $("#merged-text").replaceChildren("This record was merged into ", link, ` on ${when}. The page shows it as it was before.`);
  $("#merged").hidden = false;
  if ($("#unmerge")) on("#unmerge", "click", () => unmerge(merge.merge_id));
  for (const action of ["#edit", "#delete", "#export"]) $(action).hidden = true;
  return record;
}

async function unmerge(id) {
  try {
    if (!(await undoMerge(id))) return;
    notifyNext("The merge is undone.");
    location.reload();
  } catch (problem) {
    notifyProblem(problem);
  }
}
