// Search as you type. The fragment of the address stores the search, so that no server receives it in a URL.

import { call } from "./api.js";
import { $, $$, copy, h, on, put, debounce } from "./dom.js";
import { offerExports } from "./download.js";
import { fromAddress, toFragment } from "./filters.js";
import { toNumber } from "./json.js";
import * as list from "./list.js";
import { storeResults } from "./results.js";
import { scheduleDeletion } from "./undo.js";

const LIMIT = 50;
const SORT_LIMIT = 1000; // people of a page that is read to sort the list
const MAX_SORTED = 5000;
const NO_FILTERS = ["q", "letter", "sort"]; // inputs outside the panel of filters
const FOUND_BY = { nickname: "nickname", typo: "similar spelling", sound: "similar sound", identifier: "mail, phone or number" };
const MAX_EMPTY_PAGES = 10; // empty pages to read before the user must confirm
const form = $("#search");
const table = $("#results");
const more = $("#more");
const filters = $("#filters");
const tools = $("#tools");

let request = new AbortController();
let cursor = null;
let loading = false;
let total = null; // the number of matches, if the server counted them
let filter = {};
let shownFilter = {}; // the filter of the list on the page
let fragment = "";
let addressError = null; // the reason why the address contains no valid search; input replaces the address
let by = "surname_prefix"; // "surname" if the server does not support prefix search
let hasIndex = true; // whether the server supports the search for any text
const orders = new Set(["name", "-updated_at"]); // orders of the server

const remember = (more) => history.replaceState({ ...history.state, ...more }, "", location.pathname + fragment);

/** Convert form values to a search of the API: the text of the box, or filters, of which the text is then the surname. */
function toFilter(values) {
  const { q, letter, whole, exact, strict, sort, ...rest } = Object.fromEntries(values);
  const search = { ...rest, ...(exact && { match: "exact" }), ...(letter && !q && { [by]: letter }) };
  const isText = hasIndex && q && !whole && !Object.keys(search).length;
  $("#surnames-only").hidden = !hasIndex || !q || isText;
  if (isText) return { q, ...(strict && { forgiving: false }) };
  const [last, first] = (q ?? "").split(/\s*,\s*(.*)/);
  if (last) search[whole ? "surname" : by] = last;
  if (first && first !== search.name) search.name = search.name ? [first, search.name] : first; // the server rejects two first names
  return search;
}

async function search() {
  request.abort();
  request = new AbortController();
  cursor = total = null; // they belong to another search
  const { signal } = request;
  const given = [...new FormData(form)].map(([name, text]) => [name, text.trim()]).filter(([, text]) => text);
  filter = toFilter(given);
  if (!addressError) fragment = toFragment(given);
  remember({});
  put("#filter-count", given.filter(([name]) => !NO_FILTERS.includes(name)).length || "");
  for (const button of $$("#letters button")) button.ariaPressed = `${button.value === form.elements.letter.value}`;
  wait();
  $("#empty").replaceChildren();
  try {
    if (addressError) throw addressError;
    let page = await nextPage(null).catch(useOtherSearch);
    if (!page) return search();
    // If no surname matches "Anna Müller", try it as a first name and a surname.
    const words = filter[by]?.split(/\s+/) ?? [];
    if (!page.people.length && !page.next_cursor && words.length > 1 && !filter.name) {
      filter = { ...filter, [by]: words.at(-1), name: words.slice(0, -1).join(" ") };
      page = await nextPage(null);
    }
    signal.throwIfAborted();
    list.clear();
    list.sort(sortOrder(), isInOrder());
    show(page);
    if (sortOrder() && !isInOrder()) await readAll();
    else if (cursor && !filter.q) await countAll();
  } catch (reason) {
    showError(reason);
  } finally {
    if (!signal.aborted) table.classList.remove("waiting");
  }
}

/** The chosen order, by default the best match first for any text, else A to Z unless the server cannot sort. */
const sortOrder = () => form.elements.sort.value || (!filter.q && orders.has("name") ? "name" : "");
/** Whether the server returns the people in the order of the list. */
const isInOrder = () => orders.has(sortOrder()) && !filter.q;
const query = () => ({ ...filter, ...(isInOrder() && { sort: sortOrder() }), limit: sortOrder() && !isInOrder() ? SORT_LIMIT : LIMIT });

/** Show the number of all matches. */
async function countAll() {
  const { signal } = request;
  const { count, exact } = await call("POST", "/v1/people/count", { body: filter, signal, retry: true });
  signal.throwIfAborted();
  total = { count: toNumber(count), is_estimate: !exact };
  showCount();
}

/** Read the pages that the order of the list needs, up to a limit. */
async function readAll() {
  while (cursor && list.count() < MAX_SORTED) await next();
}

/** Hide the actions on the results while another search is entered or runs. */
function wait() {
  table.classList.add("waiting");
  list.select([]);
}

/** Search by surnames if the server has no index for any text, or by whole surnames if it rejects a prefix, because names are encrypted. */
function useOtherSearch(reason) {
  const rejects = (name) => reason.errors?.some(({ pointer, reason }) => pointer === name && /not supported|not available|encrypt/.test(reason));
  if (isInOrder() && rejects("sort")) return void orders.delete(sortOrder());
  if (hasIndex && rejects("q")) return (hasIndex = false), setLabel("Surname or its first letters");
  if (by === "surname" || !rejects("surname_prefix")) throw reason;
  by = "surname";
  $("#letters").hidden = form.elements.whole.closest("label").hidden = true;
  $("#whole-only").hidden = false;
  if (!hasIndex) setLabel("Whole surname");
}

/** Disable the letters without people; all stay enabled if the server cannot list them. */
async function markLetters() {
  const page = await call("GET", "/v1/people/letters", { retry: true }).catch(() => null);
  for (const button of $$("#letters button")) button.disabled = !!page && button.ariaPressed !== "true" && !page.letters.includes(button.value);
}

const setLabel = (text) => void ($("label[for=q]").textContent = form.elements.q.placeholder = text);

/** Read pages until one has people, up to a limit: filters may exclude thousands. */
async function nextPage(cursor) {
  const { signal } = request;
  for (let pages = 1; ; pages++) {
    const page = await call("POST", "/v1/people/search", { body: { ...query(), cursor }, signal, retry: true });
    if (page.people.length || !page.next_cursor || pages === MAX_EMPTY_PAGES) return page;
    cursor = page.next_cursor;
  }
}

async function next() {
  if (loading || !cursor) return;
  loading = true;
  const before = list.count();
  try {
    const { signal } = request;
    const page = await nextPage(cursor);
    signal.throwIfAborted();
    if (document.activeElement === more) setTimeout(() => list.links()[before]?.focus());
    show(page);
  } catch (reason) {
    showError(reason);
  } finally {
    loading = false;
  }
}

function show({ people, next_cursor, count, more_exist }) {
  list.append(people.map(({ found_by, ...person }) => ({ ...person, ...(!filter.q && found_by !== undefined && { found_by }) })), people.map(({ found_by }) => filter.q && FOUND_BY[found_by]));
  if (count) total = { count: toNumber(count), more_exist };
  cursor = next_cursor;
  shownFilter = filter;
  storeResults({ fragment, filter: { ...query(), limit: LIMIT }, ids: list.ids(), cursor });
  showCount();
  watchEnd();
}

function showCount() {
  const count = list.count();
  more.hidden = !cursor;
  more.textContent = count ? "Show more" : "Continue search";
  table.hidden = tools.hidden = !count;
  const isFiltered = Object.keys(shownFilter).length;
  put("#found", summary(count, isFiltered));
  if (!count && !cursor) showEmpty(isFiltered);
  remember({ count });
}

/** Observe the end of the list again: an observer reports changes only, and the end may still be in view. */
function watchEnd() {
  end.unobserve(more);
  end.observe(more);
}

function showEmpty(isFiltered) {
  const message = copy(isFiltered ? "no-matches" : "no-people");
  const text = form.elements.q.value.trim();
  if (isFiltered && text) $("h2", message).textContent = `No matches for “${text}”`;
  $("#empty").replaceChildren(message);
}

const people = (count) => (count === 1 ? "1 person" : `${count.toLocaleString("en")} people`);

function summary(count, isFiltered) {
  if (total?.count && count) return (total.more_exist ? "More than " : total.is_estimate ? (isFiltered ? "At least " : "About ") : "") + people(total.count);
  if (!count) return cursor ? "No matches so far. More people remain." : "";
  if (cursor && sortOrder() && !isInOrder()) return count < MAX_SORTED ? `Sorting, ${people(count)} so far …` : `The first ${people(count)}, sorted. Filters make the list shorter.`;
  return people(count) + (cursor ? " so far" : isFiltered ? "" : " in total");
}

function showError(reason) {
  if (reason.name === "AbortError") return;
  if (!reason.status) throw reason;
  list.clear();
  more.hidden = table.hidden = tools.hidden = true;
  cursor = null;
  put("#found", "");
  const label = (name) => form.elements[name]?.labels[0].textContent ?? name;
  const messages = reason.errors.map(({ pointer, reason }) => `${label(pointer)}: ${reason}.`);
  $("#empty").replaceChildren(h("p.problem", { role: "alert" }, messages.join(" ") || reason.message));
}

/** Show the search of the address, or the one of the history entry. */
async function restore() {
  const { count = 0, scrolled = 0 } = history.state ?? {};
  const kept = sessionStorage.getItem("fragment");
  sessionStorage.removeItem("fragment");
  if (kept && !location.hash) history.replaceState(null, "", kept);
  try {
    setForm(fromAddress(location, form) ?? []);
  } catch (reason) {
    addressError = reason;
    fragment = location.hash;
  }
  await search();
  while (list.count() < count && cursor) await next();
  scrollTo(0, scrolled);
}

function setLetter(letter) {
  form.elements.q.value = "";
  form.elements.letter.value = letter;
  addressError = null;
  search();
}

/** Sort by a column, or in reverse order if it is sorted already; the latest change comes first. */
function setSort(name) {
  const [first, second] = name === "updated_at" ? [`-${name}`, name] : [name, `-${name}`];
  form.elements.sort.value = sortOrder() === first ? second : first;
  search();
}

function setForm(values) {
  for (const [name, value] of values) {
    const field = form.elements[name];
    if (field.type === "checkbox") field.checked = true;
    else field.value = value;
  }
  filters.open = values.some(([name]) => !NO_FILTERS.includes(name));
}

const end = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && list.count() && next(), { rootMargin: "600px" });
const soon = debounce(120, search);
on(form, "input", ({ target }) => {
  if (target.name === "q") form.elements.letter.value = "";
  addressError = null;
  wait();
  soon();
});
form.reset(); // the address has the search, not the form that a browser restores
on(form, "reset", () => ((addressError = null), setTimeout(search)));
on(form, "submit", (event) => (event.preventDefault(), search()));
on("#sort", "change", () => ((addressError = null), search()));
on(more, "click", next);
on("#letters", "click", ({ target }) => target.value && setLetter(target.ariaPressed === "true" ? "" : target.value));
on("#results thead", "click", ({ target }) => target.closest("button") && setSort(target.closest("th").dataset.name));
offerExports("#export-selected", () => ({ person_ids: list.selectedPeople().map(({ id }) => id) }));
offerExports("#export", () => shownFilter);
if ($("#delete-selected")) on("#delete-selected", "click", () => (scheduleDeletion(list.selectedPeople()), list.select([])));
addEventListener("scroll", debounce(100, () => remember({ scrolled: scrollY })), { passive: true });
addEventListener("hashchange", () => (location.hash.includes("=") ? location.reload() : remember({})));
addEventListener("deletions", list.mark);
addEventListener("deleted", (event) => (list.remove(event.detail), showCount(), markLetters()));

on(document, "keydown", (event) => {
  const { key, target } = event;
  const stops = [form.elements.q, ...list.links()];
  const at = stops.indexOf(target);
  const to = key === "/" && !target.matches("input") ? 0 : at < 0 ? NaN : at + { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!stops[to] || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  stops[to].focus();
});

history.scrollRestoration = "manual";
restore();
markLetters();
