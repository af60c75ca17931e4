// Search as you type. The fragment of the address stores the search, so that no server receives it in a URL.

import { call } from "./api.js";
import { $, $$, copy, h, on, put, debounce } from "./dom.js";
import { offerExports } from "./download.js";
import { fromAddress, toFragment } from "./filters.js";
import * as list from "./list.js";
import { storeResults } from "./results.js";
import { scheduleDeletion } from "./undo.js";

const LIMIT = 50;
const SORT_LIMIT = 1000; // people of a page that is read to sort the list
const MAX_SORTED = 5000;
const MAX_EMPTY_PAGES = 10; // empty pages to read before the user must confirm
const form = $("#search");
const table = $("#results");
const more = $("#more");
const filters = $("#filters");
const tools = $("#tools");

let request = new AbortController();
let cursor = null;
let loading = false;
let filter = {};
let shownFilter = {}; // the filter of the list on the page
let fragment = "";
let addressError = null; // the reason why the address contains no valid search; input replaces the address
let by = "surname_prefix"; // "surname" if the server does not support prefix search

const remember = (more) => history.replaceState({ ...history.state, ...more }, "", location.pathname + fragment);

/** Convert form values to a search of the API. */
function toFilter(values) {
  const { surname, whole, exact, sort, ...rest } = Object.fromEntries(values);
  const search = { ...rest, ...(exact && { match: "exact" }) };
  const [last, first] = (surname ?? "").split(/\s*,\s*(.*)/);
  if (last) search[whole ? "surname" : by] = last;
  if (first && first !== search.name) search.name = search.name ? [first, search.name] : first; // the server rejects two first names
  return search;
}

async function search() {
  request.abort();
  request = new AbortController();
  cursor = null; // it belongs to another search
  const { signal } = request;
  const given = [...new FormData(form)].map(([name, text]) => [name, text.trim()]).filter(([, text]) => text);
  filter = toFilter(given);
  if (!addressError) fragment = toFragment(given);
  remember({});
  put("#filter-count", given.filter(([name]) => !["surname", "sort"].includes(name)).length || "");
  for (const button of $$("#letters button")) button.ariaPressed = `${button.value === form.elements.surname.value}`;
  wait();
  $("#empty").replaceChildren();
  try {
    if (addressError) throw addressError;
    let page = await nextPage(null).catch(useWholeSurnames);
    if (!page) return search();
    // If no surname matches "Anna Müller", try it as a first name and a surname.
    const words = filter[by]?.split(/\s+/) ?? [];
    if (!page.people.length && !page.next_cursor && words.length > 1 && !filter.name) {
      filter = { ...filter, [by]: words.at(-1), name: words.slice(0, -1).join(" ") };
      page = await nextPage(null);
    }
    signal.throwIfAborted();
    list.clear();
    list.sort(sortOrder());
    show(page);
    if (sortOrder()) await readAll();
  } catch (reason) {
    showError(reason);
  } finally {
    if (!signal.aborted) table.classList.remove("waiting");
  }
}

const sortOrder = () => form.elements.sort.value;

/** Read the pages that the order of the list needs, up to a limit. */
async function readAll() {
  while (cursor && list.count() < MAX_SORTED) await next();
}

/** Hide the actions on the results while another search is entered or runs. */
function wait() {
  table.classList.add("waiting");
  list.select([]);
}

/** Search by whole surnames if the server rejects a prefix, because names are encrypted. */
function useWholeSurnames(reason) {
  if (by === "surname" || !reason.errors?.some(({ pointer }) => pointer === "surname_prefix")) throw reason;
  by = "surname";
  $("#whole-only").hidden = false;
  $("#letters").hidden = form.elements.whole.closest("label").hidden = true;
  $("label[for=surname]").textContent = form.elements.surname.placeholder = "Whole surname";
}

/** Read pages until one has people, up to a limit: filters may exclude thousands. */
async function nextPage(cursor) {
  const { signal } = request;
  for (let pages = 1; ; pages++) {
    const body = { ...filter, limit: sortOrder() ? SORT_LIMIT : LIMIT, cursor };
    const page = await call("POST", "/v1/people/search", { body, signal, retry: true });
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

function show({ people, next_cursor }) {
  list.append(people);
  cursor = next_cursor;
  shownFilter = filter;
  storeResults({ fragment, filter: { ...filter, limit: LIMIT }, ids: list.ids(), cursor });
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
  const surname = form.elements.surname.value.trim();
  if (isFiltered && surname) $("h2", message).textContent = `No matches for “${surname}”`;
  $("#empty").replaceChildren(message);
}

function summary(count, isFiltered) {
  if (!count) return cursor ? "No matches so far. More people remain." : "";
  const people = count === 1 ? "1 person" : `${count.toLocaleString("en")} people`;
  if (cursor && sortOrder()) return count < MAX_SORTED ? `Sorting, ${people} so far …` : `The first ${people}, sorted. Filters make the list shorter.`;
  return people + (cursor ? " so far" : isFiltered ? "" : " in total");
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

function setSurname(text) {
  form.elements.surname.value = text;
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
  filters.open = values.some(([name]) => !["surname", "sort"].includes(name));
}

const end = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && list.count() && next(), { rootMargin: "600px" });
const soon = debounce(120, search);
on(form, "input", () => ((addressError = null), wait(), soon()));
form.reset(); // the address has the search, not the form that a browser restores
on(form, "reset", () => ((addressError = null), setTimeout(search)));
on(form, "submit", (event) => (event.preventDefault(), search()));
on("#sort", "change", () => ((addressError = null), search()));
on(more, "click", next);
on("#letters", "click", ({ target }) => target.value && setSurname(target.ariaPressed === "true" ? "" : target.value));
on("#results thead", "click", ({ target }) => target.closest("button") && setSort(target.closest("th").dataset.name));
offerExports("#export-selected", () => ({ person_ids: list.selectedPeople().map(({ id }) => id) }));
offerExports("#export", () => shownFilter); // all matches, including those that are not on the page
if ($("#delete-selected")) on("#delete-selected", "click", () => (scheduleDeletion(list.selectedPeople()), list.select([])));
addEventListener("scroll", debounce(100, () => remember({ scrolled: scrollY })), { passive: true });
addEventListener("hashchange", () => (location.hash.includes("=") ? location.reload() : remember({})));
addEventListener("deletions", list.mark);
addEventListener("deleted", (event) => (list.remove(event.detail), showCount()));

on(document, "keydown", (event) => {
  const { key, target } = event;
  const stops = [form.elements.surname, ...list.links()];
  const at = stops.indexOf(target);
  const to = key === "/" && !target.matches("input") ? 0 : at < 0 ? NaN : at + { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!stops[to] || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  stops[to].focus();
});

history.scrollRestoration = "manual";
restore();
