// Search as you type. The browser's history entry stores the search; URLs never contain it.

import { call } from "./api.js";
import { $, $$, copy, h, on, put, debounce } from "./dom.js";
import { notify } from "./layout.js";
import { birthdate, pageOf } from "./people.js";
import { isPending } from "./undo.js";

const LIMIT = 50;
const MAX_EMPTY_PAGES = 10; // empty pages to read before the user must confirm
const form = $("#search");
const list = $("#results");
const more = $("#more");
const filters = $("#filters");
const exports = $("#export");

let request = new AbortController();
let cursor = null;
let loading = false;
let filter = {};
let shownFilter = {}; // the filter of the list on the page
let hasAddressFilter = location.search || location.hash.includes("=");
let by = "surname_prefix"; // "surname" if the server does not support prefix search

const remember = (more) => history.replaceState({ ...history.state, ...more }, "", location.pathname);

/** Convert form values to a search of the API. */
function toFilter(values) {
  const { surname, whole, exact, ...rest } = Object.fromEntries(values);
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
  remember({ form: Object.fromEntries(given) });
  put("#filter-count", given.filter(([name]) => name !== "surname").length || "");
  list.classList.add("waiting"); // hides the export buttons
  $("#empty").replaceChildren();
  try {
    if (hasAddressFilter) throw { status: 422, errors: [], message: "The address cannot contain filters. Enter them here." };
    let page = await nextPage(null).catch(useWholeSurnames);
    if (!page) return search();
    // If no surname matches "Anna Müller", try it as a first name and a surname.
    const words = filter[by]?.split(/\s+/) ?? [];
    if (!page.people.length && !page.next_cursor && words.length > 1 && !filter.name) {
      filter = { ...filter, [by]: words.at(-1), name: words.slice(0, -1).join(" ") };
      page = await nextPage(null);
    }
    signal.throwIfAborted();
    list.replaceChildren();
    show(page);
  } catch (reason) {
    showError(reason);
  } finally {
    if (!signal.aborted) list.classList.remove("waiting");
  }
}

/** Search by whole surnames if the server rejects a prefix, because names are encrypted. */
function useWholeSurnames(reason) {
  if (by === "surname" || !reason.errors?.some(({ pointer }) => pointer === "surname_prefix")) throw reason;
  by = "surname";
  $("#whole-only").hidden = false;
  form.elements.whole.closest("label").hidden = true;
  $("label[for=surname]").textContent = form.elements.surname.placeholder = "Whole surname";
}

/** Read pages until one has people, up to a limit: filters may exclude thousands. */
async function nextPage(cursor) {
  const { signal } = request;
  for (let pages = 1; ; pages++) {
    const body = { ...filter, limit: LIMIT, cursor };
    const page = await call("POST", "/v1/people/search", { body, signal, retry: true });
    if (page.people.length || !page.next_cursor || pages === MAX_EMPTY_PAGES) return page;
    cursor = page.next_cursor;
  }
}

async function next() {
  if (loading || !cursor) return;
  loading = true;
  const before = list.children.length;
  try {
    const { signal } = request;
    const page = await nextPage(cursor);
    signal.throwIfAborted();
    if (document.activeElement === more) setTimeout(() => $("a", list.children[before])?.focus());
    show(page);
  } catch (reason) {
    showError(reason);
  } finally {
    loading = false;
  }
}

function show({ people, next_cursor }) {
  list.append(...people.map(row));
  cursor = next_cursor;
  const count = list.children.length;
  more.hidden = !cursor;
  more.textContent = count ? "Show more" : "Continue search";
  shownFilter = filter;
  exports.hidden = !count;
  const isFiltered = Object.keys(filter).length;
  put("#found", summary(count, isFiltered));
  if (!count && !cursor) showEmpty(isFiltered);
  mark();
  remember({ count });
  watchEnd();
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
  return people + (cursor ? " so far" : isFiltered ? "" : " in total");
}

function row({ person_id, person_name, person_surname, person_birthdate, person_address }) {
  const item = copy("row");
  const [badge, who, born, address] = item.firstElementChild.children;
  const names = [person_surname, person_name].filter(Boolean);
  item.dataset.id = person_id;
  item.firstElementChild.href = pageOf(person_id);
  badge.textContent = names.map((name) => /[\p{L}\p{N}]/u.exec(name)?.[0]).reverse().join("").toUpperCase() || "?";
  who.textContent = names.join(", ") || "(no name)";
  born.textContent = birthdate(person_birthdate);
  address.textContent = person_address?.replace(/\s*\n\s*/g, ", ") ?? "";
  return item;
}

function showError(reason) {
  if (reason.name === "AbortError") return;
  if (!reason.status) throw reason;
  list.replaceChildren();
  more.hidden = exports.hidden = true;
  cursor = null;
  put("#found", "");
  const label = (name) => form.elements[name]?.labels[0].textContent ?? name;
  const messages = reason.errors.map(({ pointer, reason }) => `${label(pointer)}: ${reason}.`);
  $("#empty").replaceChildren(h("p.problem", { role: "alert" }, messages.join(" ") || reason.message));
}

/** Export all matches, including those that are not on the page. */
async function exportAs(button) {
  if (button.ariaDisabled) return;
  button.ariaDisabled = "true";
  try {
    const file = await call("POST", "/v1/people/export", { body: { ...shownFilter, format: button.value }, retry: true });
    const href = URL.createObjectURL(file);
    h("a", { href, download: `people.${button.value}` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 9999); // after the browser has started the download
  } catch (reason) {
    notify(`Export failed: ${reason.message}`, "bad");
  }
  button.ariaDisabled = null;
}

/** Mark people with a pending deletion. */
function mark() {
  for (const item of list.children) item.classList.toggle("going", isPending(item.dataset.id));
}

async function restore() {
  const { form: values = {}, count = 0, scrolled = 0 } = history.state ?? {};
  for (const [name, value] of Object.entries(values)) {
    const field = form.elements[name];
    if (field?.type === "checkbox") field.checked = true;
    else if (field) field.value = value;
  }
  filters.open = Object.entries(values).some(([name, value]) => name !== "surname" && value);
  await search();
  while (list.children.length < count && cursor) await next();
  scrollTo(0, scrolled);
}

const end = new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && list.children.length && next(), { rootMargin: "600px" });
const soon = debounce(120, search);
on(form, "input", () => ((hasAddressFilter = ""), list.classList.add("waiting"), soon()));
on(form, "reset", () => ((hasAddressFilter = ""), setTimeout(search)));
on(form, "submit", (event) => (event.preventDefault(), search()));
on(more, "click", next);
for (const button of $$("button", exports)) on(button, "click", () => exportAs(button));
addEventListener("scroll", debounce(100, () => remember({ scrolled: scrollY })), { passive: true });
addEventListener("hashchange", () => location.hash.includes("=") && location.reload());
addEventListener("deletions", mark);
addEventListener("deleted", (event) => $(`[data-id="${CSS.escape(event.detail)}"]`, list)?.remove());

on(document, "keydown", (event) => {
  const { key, target } = event;
  const stops = [form.elements.surname, ...$$("a", list)];
  const at = stops.indexOf(target);
  const to = key === "/" && !target.matches("input") ? 0 : at < 0 ? NaN : at + { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!stops[to] || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  stops[to].focus();
});

history.scrollRestoration = "manual";
restore();
