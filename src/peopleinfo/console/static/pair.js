// A pair of records side by side, with its grade, the reasons of the grade and the differing letters marked.

import { $, h, put } from "./dom.js";
import { same, toNumber } from "./json.js";
import { FIELDS, birthdate, details, fullName, label, moment, pageOf, view } from "./people.js";

const FULL_BAR = 20; // bits
const MAX_CELLS = 250_000; // of the table in which two texts are compared
const WORDS = [[10, "strongly"], [4, ""], [0, "slightly"]]; // by bits
const OTHER_NAMES = ["differs", "near", "part", "second"];
const GRADES = { certain: "Certain", probable: "Probable", possible: "Possible" };

/** Return the fields of two people, the standard fields first. */
export function fieldsOf(people) {
  const names = new Set([...FIELDS, ...people.flatMap((person) => Object.keys(details(person)))]);
  return [...names].filter((name) => people.some((person) => Object.hasOwn(person, name)));
}

export const differ = (name, [a, b]) => Object.hasOwn(a, name) !== Object.hasOwn(b, name) || !same(a[name], b[name]);

/** Show a value of the first person; letters that the second one lacks are marked. */
export function shown(name, person, other) {
  if (!Object.hasOwn(person, name)) return h("span.soft", null, "no value");
  const texts = [person, other].map((one) => (name === "person_birthdate" ? birthdate(one[name]) : one[name]));
  if (!texts.every((text) => text && typeof text === "string") || texts[0] === texts[1]) return view(person[name], name);
  return h("span.text", null, marked(...texts));
}

export function showPair({ grade, score, relatives, evidence, people }) {
  put("#title", people.map(fullName).join(" and "));
  put("#grade", `${GRADES[grade] ?? "Unlikely"}: ${percent(toNumber(score))}`);
  const kin = kinship(evidence, toNumber(relatives));
  put("#kin", kin);
  $("#kin").hidden = !kin;
  const head = h("tr", null, h("td", null, h("span.hidden", null, "Field")), people.map(heading));
  const rows = fieldsOf(people).map((name) => {
    const isDifferent = differ(name, people);
    const cells = people.map((person, at) => h("td", null, shown(name, person, people[1 - at])));
    const remark = isDifferent && h("span.hidden", null, " (different)");
    return h(isDifferent ? "tr.differs" : "tr", null, h("th", { scope: "row" }, label(name), remark || null), cells);
  });
  $("#sides").replaceChildren(h("thead", null, head), h("tbody", null, rows));
  $("#reasons").replaceChildren(...evidence.map(reason));
}

function heading(person) {
  const link = h("a", { href: pageOf(person.person_id), target: "_blank", rel: "noopener" }, fullName(person));
  return h("th", { scope: "col" }, link, h("span.hint", null, `Added ${moment(person.created_at)}`));
}

const percent = (share) => (share > 0.999 ? "over 99.9 %" : `${(share * 100).toFixed(1)} %`);

/** Return a remark about twins, or about relatives of one household. */
function kinship(evidence, relatives) {
  const agreement = Object.fromEntries(evidence.map(({ field, agreement }) => [field, agreement]));
  const share = relatives < 0.001 ? "under 0.1 %" : percent(relatives);
  const isOther = OTHER_NAMES.includes(agreement.person_name);
  if (isOther && agreement.person_birthdate === "exact" && agreement.person_surname !== "differs") return `Could be twins: ${share}`;
  return isOther || relatives >= 0.01 ? `Could be relatives: ${share}` : "";
}

function reason({ field, bits, because }) {
  const amount = toNumber(bits);
  const strength = WORDS.find(([least]) => Math.abs(amount) >= least)[1];
  const bar = h("progress", { max: FULL_BAR, value: Math.min(Math.abs(amount), FULL_BAR), "aria-hidden": "true" });
  const text = `${strength} ${amount < 0 ? "against" : "for"} one person`.trim();
  return h(amount < 0 ? "li.against" : "li", null, h("b", null, label(field)), h("span.soft", null, text), h("span", null, because), bar);
}

/** Return the parts of a text; those that another text lacks are marked. */
function marked(text, other) {
  const [a, b] = [[...text], [...other]];
  if (a.length * b.length > MAX_CELLS) return [text];
  const common = commonLetters(a, b);
  if (common.size * 2 < Math.max(a.length, b.length)) return [h("mark", null, text)];
  const runs = [];
  for (const [at, letter] of a.entries()) {
    const isCommon = common.has(at);
    if (runs.at(-1)?.isCommon === isCommon) runs.at(-1).text += letter;
    else runs.push({ isCommon, text: letter });
  }
  return runs.map(({ isCommon, text }) => (isCommon ? text : h("mark", null, text)));
}

/** Return the positions in `a` of the longest common subsequence with `b`; case does not matter. */
function commonLetters(a, b) {
  const equal = (i, j) => a[i].toLowerCase() === b[j].toLowerCase();
  const length = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) length[i][j] = equal(i, j) ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
  }
  const common = new Set();
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (equal(i, j)) common.add(i++), j++;
    else if (length[i + 1][j] >= length[i][j + 1]) i++;
    else j++;
  }
  return common;
}
