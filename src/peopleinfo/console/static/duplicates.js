// The review of possible duplicates: one pair at a time, with the decisions of a reviewer.

import { call } from "./api.js";
import { $, $$, h, on, put } from "./dom.js";
import { notify, notifyProblem, showProblem } from "./notifications.js";
import { closeMerge, mergeForm } from "./merge.js";
import { undoMerge } from "./merges.js";
import { showPair } from "./pair.js";
import { fullName, moment, pageOf, path } from "./people.js";

const PAGE_LIMIT = 20;
const LISTS = ["open", "later", "different"];
const DECISIONS = { later: "Decide later", different: "Different people" };
const PAIR = /^#([0-9a-f]{32})([0-9a-f]{32})$/;
const mayMerge = $("#pair").dataset.mayMerge === "true";

let pairs = [];
let at = 0;
let cursor = null;
let list = "open";
let isBusy = false;
let undoLast = null;
const changed = new Set(); // people that were merged since their pairs were read

/** Show the pairs of the list that the fragment names, or the pair with the ids in the fragment. */
async function open() {
  const named = PAIR.exec(location.hash);
  list = LISTS.includes(location.hash.slice(1)) ? location.hash.slice(1) : named ? "" : "open";
  for (const link of $$("#lists a")) link.ariaCurrent = link.hash === `#${list}` ? "page" : null;
  [pairs, at, cursor] = [[], 0, null];
  closeMerge();
  $("#problem").replaceChildren();
  if (named) pairs = [await readPair(...named.slice(1))];
  else await readPage();
  await show();
}

async function readPage() {
  do {
    const after = cursor ? `&cursor=${cursor}` : "";
    const page = await call("GET", `/v1/duplicates?state=${list}&limit=${PAGE_LIMIT}${after}`);
    pairs.push(...page.duplicates);
    cursor = page.next_cursor;
  } while (cursor && at >= pairs.length);
}

/** Return a pair of the queue, or any two records with the evidence of a match. */
async function readPair(first, second) {
  try {
    return await call("GET", `/v1/duplicates/${first}${second}`);
  } catch (problem) {
    if (problem.status !== 404) throw problem;
  }
  const [one, other, { candidates }] = await Promise.all([
    call("GET", path(first)), call("GET", path(second)), call("GET", `${path(first)}/duplicates?count=100&threshold=0`),
  ]);
  const found = candidates.find(({ person_id }) => person_id === second);
  return { score: 0, relatives: 0, evidence: [], ...found, people: [one, other] };
}

/** Show the current pair. A pair of which a record was merged meanwhile is read again. */
async function show({ focus = true } = {}) {
  if (at >= pairs.length && cursor) await readPage();
  if (at >= pairs.length) at = Math.max(0, pairs.length - 1);
  const pair = pairs[at];
  if (pair?.pair && pair.people.some(({ person_id }) => changed.has(person_id))) {
    const current = await call("GET", `/v1/duplicates/${pair.pair}`).catch(() => null);
    if (current?.state !== pair.state) return pairs.splice(at, 1), show({ focus });
    pairs[at] = current;
  }
  $("#pair").hidden = !pair;
  $("#none").hidden = Boolean(pair);
  for (const one of LISTS) $(`#none-${one}`).hidden = one !== list;
  $("#pager").hidden = pairs.length < 2;
  if (!pair) return focus && $("#none").focus();
  showPair(pairs[at]);
  put("#position", `${at + 1} of ${pairs.length}${cursor ? "+" : ""}`);
  $("#previous").disabled = !at;
  $("#next").disabled = at === pairs.length - 1 && !cursor;
  for (const decision of ["different", "later"]) $(`#${decision}`).hidden = !pair.pair || pair.state === decision;
  put("#decided", [pair.by && `${DECISIONS[pair.state]}: decided by ${pair.by}, ${moment(pair.at)}.`, pair.note].filter(Boolean).join(" "));
  if (focus) $("#title").focus();
}

async function go(step) {
  closeMerge();
  at += step;
  await show();
}

/** Run an action on the current pair; a pair that changed meanwhile is read again. */
async function act(action) {
  if (isBusy || !pairs[at]) return;
  isBusy = true;
  try {
    await action(pairs[at]);
  } catch (problem) {
    if (problem.status === undefined) throw problem;
    const isStale = [404, 409, 412].includes(problem.status);
    notify(isStale ? `This pair has changed meanwhile. ${problem.message}` : problem.message, "bad");
    if (isStale) await open();
  } finally {
    isBusy = false;
  }
}

const decide = (decision) =>
  act(async (pair) => {
    const decided = await post(pair, decision);
    const names = pair.people.map(fullName).join(" and ");
    pairs.splice(at, 1);
    if (decision === "different") done([`Different people: ${names}.`], () => withdraw(decided));
    else done([`Decide later: ${names}.`], null);
    await show();
  });

const post = ({ pair, version }, decision) =>
  call("POST", `/v1/duplicates/${pair}`, { body: { decision }, headers: { "If-Match": `"${version.rawJSON}"` }, retry: true });

/** Withdraw the decision that two people are different: the pair waits in the list "Later", and is shown again. */
async function withdraw(pair) {
  const waiting = await post(pair, "later");
  notify("The decision is withdrawn. The pair is under “Later”.");
  pairs.splice(at, 0, waiting);
  await show();
}

const merge = () =>
  act(async (pair) => {
    $("#pair").hidden = true;
    const result = await mergeForm(pair.people).finally(() => ($("#pair").hidden = false));
    if (!result) return $("#merge-start").focus();
    const { survivor, merged, merge_id } = result;
    const gone = new Set(merged.map(({ person_id }) => person_id));
    pairs = pairs.filter((one) => !one.people.some(({ person_id }) => gone.has(person_id)));
    changed.add(survivor.person_id);
    done(["Merged into ", h("a", { href: pageOf(survivor.person_id) }, fullName(survivor)), "."], () => unmerge(merge_id), "Undo this merge");
    await show();
  });

async function unmerge(id) {
  const restored = await undoMerge(id);
  if (!restored) return false;
  notify("The merge is undone.");
  for (const { person_id } of [restored.survivor, ...restored.merged]) changed.add(person_id);
  await open();
}

/** Show what was done, with a button to undo it; the message stays until the next decision. */
function done(content, undo, title = "Undo") {
  $("#done-text").replaceChildren(...content);
  $("#undo-last").hidden = !(undoLast = undo);
  put("#undo-title", title);
  $("#done").hidden = false;
}

async function undo() {
  if (!undoLast || isBusy) return;
  isBusy = true;
  try {
    if ((await undoLast()) !== false) $("#done").hidden = !(undoLast = null);
  } catch (problem) {
    notifyProblem(problem);
  } finally {
    isBusy = false;
  }
}

const ACTIONS = { s: "#merge-start", d: "#different", l: "#later", u: "#undo-last", n: "#next", p: "#previous" };
const shortcuts = $("#shortcuts");
on("#merge-start", "click", merge);
on("#different", "click", () => decide("different"));
on("#later", "click", () => decide("later"));
on("#undo-last", "click", undo);
on("#next", "click", () => go(1));
on("#previous", "click", () => go(-1));
shortcuts.checked = localStorage.getItem("shortcuts") !== "off";
on(shortcuts, "change", () => localStorage.setItem("shortcuts", shortcuts.checked ? "on" : "off"));
on(document, "keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || $("dialog[open]")) return;
  if (key === "Escape") return closeMerge();
  const isText = target.matches("textarea, select, input:not([type=radio], [type=checkbox])");
  const button = shortcuts.checked && !isText && $(ACTIONS[key.toLowerCase()] ?? "#none-such");
  if (button && !button.disabled && button.checkVisibility()) button.click();
});

const fail = (problem) => {
  if (problem.status === undefined) throw problem;
  $("#pair").hidden = true;
  showProblem(problem);
};
const start = () => open().catch(fail);
addEventListener("hashchange", start);
if (!mayMerge) for (const id of ["merge-start", "different", "later"]) $(`#${id}`).disabled = true;
start();
