// Finding people while their name is being typed. What was asked for stays with this entry of the browser's history, and in no address.

import { call } from "./api.js";
import { $, $$, copy, h, on, put, settled } from "./dom.js";
import { say } from "./frame.js";
import { birthdate, pageOf } from "./people.js";
import { isGoing } from "./removals.js";

const LIMIT = 50;
const LOOKS = 10; // pages without anybody on them that are read before whoever waits is asked
const form = $("#search");
const list = $("#results");
const more = $("#more");
const filters = $("#filters");
const exports = $("#export");

let asking = new AbortController();
let cursor = null;
let loading = false;
let where = {};
let found = {}; // whom the list shows
let strange = location.search || location.hash.includes("="); // whether the address asks for something
let by = "surname_prefix"; // "surname" once the service has said that it finds nobody by the beginning of a surname

const remember = (more) => history.replaceState({ ...history.state, ...more }, "", location.pathname);

/** Return the search as the API takes it. */
function asked(given) {
  const { surname, whole, exact, ...rest } = Object.fromEntries(given);
  const search = { ...rest, ...(exact && { match: "exact" }) };
  const [last, first] = (surname ?? "").split(/\s*,\s*(.*)/);
  if (last) search[whole ? "surname" : by] = last;
  if (first && first !== search.name) search.name = search.name ? [first, search.name] : first; // two are refused
  return search;
}

async function search() {
  asking.abort();
  asking = new AbortController();
  cursor = null; // it belongs to another search
  const { signal } = asking;
  const given = [...new FormData(form)].map(([name, text]) => [name, text.trim()]).filter(([, text]) => text);
  where = asked(given);
  remember({ form: Object.fromEntries(given) });
  put("#narrowed", given.filter(([name]) => name !== "surname").length || "");
  list.classList.add("waiting"); // which hides the export
  $("#empty").replaceChildren();
  try {
    if (strange) throw { status: 422, errors: [], message: "Filters in the address are not read. Type them here." };
    let page = await pageOfPeople(null).catch(onlyWhole);
    if (!page) return search();
    // "Anna Müller" is a first name and a surname, when it is no surname of its own.
    const words = where[by]?.split(/\s+/) ?? [];
    if (!page.people.length && !page.next_cursor && words.length > 1 && !where.name) {
      where = { ...where, [by]: words.at(-1), name: words.slice(0, -1).join(" ") };
      page = await pageOfPeople(null);
    }
    signal.throwIfAborted();
    list.replaceChildren();
    show(page);
  } catch (reason) {
    refused(reason);
  } finally {
    if (!signal.aborted) list.classList.remove("waiting");
  }
}

/** Go over to whole surnames, and say so, when the service refused the beginning of one: it does where people are sealed. */
function onlyWhole(reason) {
  if (by === "surname" || !reason.errors?.some(({ pointer }) => pointer === "surname_prefix")) throw reason;
  by = "surname";
  $("#whole-only").hidden = false;
  form.elements.whole.closest("label").hidden = true;
  $("label[for=surname]").textContent = form.elements.surname.placeholder = "The whole surname";
}

/** Read on until there is somebody to show, for a while: filters may pass over thousands. */
async function pageOfPeople(cursor) {
  const { signal } = asking;
  for (let looks = 1; ; looks++) {
    const body = { ...where, limit: LIMIT, cursor };
    const page = await call("POST", "/v1/people/search", { body, signal, patient: true });
    if (page.people.length || !page.next_cursor || looks === LOOKS) return page;
    cursor = page.next_cursor;
  }
}

async function next() {
  if (loading || !cursor) return;
  loading = true;
  const before = list.children.length;
  try {
    const { signal } = asking;
    const page = await pageOfPeople(cursor);
    signal.throwIfAborted();
    if (document.activeElement === more) setTimeout(() => $("a", list.children[before])?.focus());
    show(page);
  } catch (reason) {
    refused(reason);
  } finally {
    loading = false;
  }
}

function show({ people, next_cursor }) {
  list.append(...people.map(row));
  cursor = next_cursor;
  const count = list.children.length;
  more.hidden = !cursor;
  more.textContent = count ? "Show more" : "Keep looking";
  found = where;
  exports.hidden = !count;
  const anything = Object.keys(where).length;
  put("#found", told(count, anything));
  if (!count && !cursor) $("#empty").replaceChildren(copy(anything ? "nothing" : "nobody-yet"));
  mark();
  remember({ count });
  watchEnd();
}

/** Watch the end of the list again: its observer reports changes alone, and the end may still be in view. */
function watchEnd() {
  end.unobserve(more);
  end.observe(more);
}

function told(count, anything) {
  if (!count) return cursor ? "Nobody so far, and there are more people to look at." : "";
  const people = count === 1 ? "1 person" : `${count.toLocaleString("en")} people`;
  return people + (cursor ? " so far" : anything ? "" : " in all");
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

function refused(reason) {
  if (reason.name === "AbortError") return;
  if (!reason.status) throw reason;
  list.replaceChildren();
  more.hidden = exports.hidden = true;
  cursor = null;
  put("#found", "");
  const label = (name) => form.elements[name]?.labels[0].textContent ?? name;
  const reasons = reason.errors.map(({ pointer, reason }) => `${label(pointer)}: ${reason}.`);
  $("#empty").replaceChildren(h("p.problem", { role: "alert" }, reasons.join(" ") || reason.message));
}

/** Export all who are found, shown here or not. */
async function save(button) {
  if (button.ariaDisabled) return;
  button.ariaDisabled = "true";
  try {
    const file = await call("POST", "/v1/people/export", { body: { ...found, format: button.value }, patient: true });
    const href = URL.createObjectURL(file);
    h("a", { href, download: `people.${button.value}` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 9999); // when the browser has begun to keep it
  } catch (reason) {
    say(`Not exported: ${reason.message}`, "bad");
  }
  button.ariaDisabled = null;
}

/** Mark who is being removed. */
function mark() {
  for (const item of list.children) item.classList.toggle("going", isGoing(item.dataset.id));
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
const soon = settled(120, search);
on(form, "input", () => ((strange = ""), list.classList.add("waiting"), soon()));
on(form, "reset", () => ((strange = ""), setTimeout(search)));
on(form, "submit", (event) => (event.preventDefault(), search()));
on(more, "click", next);
for (const button of $$("button", exports)) on(button, "click", () => save(button));
addEventListener("scroll", settled(100, () => remember({ scrolled: scrollY })), { passive: true });
addEventListener("hashchange", () => location.hash.includes("=") && location.reload());
addEventListener("removals", mark);
addEventListener("removed", (event) => $(`[data-id="${CSS.escape(event.detail)}"]`, list)?.remove());

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
