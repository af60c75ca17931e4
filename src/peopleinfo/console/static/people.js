// Formatting of people: names, dates, and values of any depth.

import { $, copy, h } from "./dom.js";
import { isNumber, write } from "./json.js";

// No prototype: a custom field may be named constructor.
export const LABELS = { __proto__: null, person_name: "First name", person_surname: "Surname", person_birthdate: "Birthdate", person_address: "Address" };
export const FIELDS = Object.keys(LABELS);
export const SERVER_FIELDS = ["person_id", "version", "created_at", "updated_at"];

export const path = (id) => `/v1/people/${encodeURIComponent(id)}`;
export const pageOf = (id) => `/console/people/${encodeURIComponent(id)}`;
export const versionOf = (person) => person.version.rawJSON;
export const fullName = ({ person_name, person_surname }) => [person_name, person_surname].filter(Boolean).join(" ") || "(no name)";

/** Return the fields of a person without those that the server sets. */
export const details = (person) => Object.fromEntries(Object.entries(person).filter(([name]) => !SERVER_FIELDS.includes(name)));

/** Format a birthdate, which may be incomplete; return any other text unchanged. */
export function birthdate(text) {
  const [, year, month, day] = /^(-|\d{4})(?:-(\d\d))?(?:-(\d\d))?$/.exec(text ?? "") ?? [];
  if (!month) return text ?? "";
  const date = new Date(`${year === "-" ? "2000" : year}-${month}-${day ?? "01"}`);
  const form = { ...(day && { day: "numeric" }), month: day ? "short" : "long", ...(year !== "-" && { year: "numeric" }), timeZone: "UTC" };
  return isNaN(date) ? text : date.toLocaleDateString("en-GB", form);
}

export const label = (name) => LABELS[name] ?? (name || "(no name)");

export const moment = (time) => new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });

const MAIL = /^[^\s@<>"]+@[^\s@<>"]+\.[^\s@<>".]+$/;
const PHONE = /^\+?[\d\s()./-]{5,30}$/;
const PHONE_FIELD = /phone|mobile|tel|fax|handy|cell/i;

/** Return a link for a mail address or a phone number, or null; a number without + is a phone number if its field is named so. */
export function linkOf(name, text) {
  if (MAIL.test(text)) return `mailto:${encodeURIComponent(text).replace("%40", "@")}`;
  const isPhone = PHONE.test(text) && /\d{3}/.test(text.replace(/\D/g, "")) && (text.startsWith("+") || PHONE_FIELD.test(name));
  return isPhone ? `tel:${text.replace(/[^\d+]/g, "")}` : null;
}

/** Create the element that shows a value of any type and depth; `name` is the name of its field. */
export function view(value, name = "") {
  if (typeof value === "string") {
    if (name === FIELDS[2]) return birthdate(value);
    const href = linkOf(name, value);
    return href ? h("a.text", { href }, value) : value ? h("span.text", null, value) : h("span.soft", null, "empty text");
  }
  if (isNumber(value)) return h("span.number", null, value.rawJSON);
  if (value === null) return h("span.soft", null, "nothing (null)");
  if (typeof value === "boolean") return h("span.number", null, value ? "yes (true)" : "no (false)");
  const list = Array.isArray(value);
  const size = Object.keys(value).length;
  if (!size) return h("span.soft", null, list ? "empty list" : "no fields");
  const inner = list
    ? h("ol.tree", { role: "list" }, value.map((item) => h("li", null, view(item, name))))
    : h("dl.tree", null, Object.entries(value).map(([inner, item]) => h("div", null, h("dt.soft", null, inner || "(no name)"), h("dd", null, view(item, `${name} ${inner}`)))));
  if (write(value).length < 400) return inner;
  return h("details.nested", null, h("summary", null, `${size} ${list ? "item" : "field"}${size > 1 ? "s" : ""}`), inner);
}

/** Show why a person cannot be displayed; rethrows errors without a response. */
export function showNotFound(reason) {
  if (!reason.status) throw reason;
  $(".head, h1").hidden = true;
  $("#not-found").replaceChildren(reason.status === 404 ? copy("person-not-found") : h("p.problem", null, reason.message));
}
