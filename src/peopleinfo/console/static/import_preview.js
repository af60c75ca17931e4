// The preview of an import: what the server found in the first part of a file, and the options that change it.

import { call } from "./api.js";
import { $, $$, h, put } from "./dom.js";
import { birthdate, LABELS } from "./people.js";
import { sheet } from "./sheet.js";

const PREVIEW_SIZE = 1024 * 1024;
const WHOLE_NAME = "person_name person_surname"; // a column that the server divides
const FORMATS = { csv: "CSV", xlsx: "Excel workbook", ndjson: "NDJSON", json: "JSON", vcard: "vCard", fhir: "FHIR", scim: "SCIM", ldif: "LDIF" };
// The names of encodings, of which a server may use several for one.
const ENCODINGS = { "utf-8": "UTF-8", "utf-8-sig": "UTF-8", "windows-1252": "Windows-1252", cp1252: "Windows-1252", "iso-8859-1": "Latin-1", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16" };
const ZIP = "PK"; // the first letters of a workbook, which cannot be read in parts
const MAPPED_FORMATS = ["csv", "xlsx", "ndjson", "json"]; // other formats define their fields
const DELIMITERS = { ",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar", " ": "blank" };
const ROLES = { "": "Other details", ...LABELS, [WHOLE_NAME]: "Whole name" };
const SAMPLE_DATE = { "%d": "11", "%m": "02", "%Y": "1990", "%y": "90", "%B": "February", "%b": "Feb" };
const DATE_FORMATS = ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y%m%d", "excel"];
const form = $("#mapping");
const chosen = new Set(); // the options that the user changed

/** Forget the options of the previous file. */
export function resetOptions() {
  chosen.clear();
  form.reset();
  form.elements.key.closest(".field").hidden = true;
}

/** Record that the user changed an option; another encoding, delimiter or sheet leads to other columns. */
export function chooseOption({ id, dataset }) {
  chosen.add(dataset.column === undefined ? id : "map");
  if (["encoding", "delimiter", "sheet"].includes(id)) chosen.delete("map");
}

/** Return the options of the import that differ from the guesses of the server. A file with ids updates people. */
export function options() {
  const query = new URLSearchParams();
  const { key } = form.elements;
  if (key.value && !key.closest(".field").hidden) query.set("key", key.value);
  for (const name of ["encoding", "delimiter", "sheet", "date_format", "on_bad_date"]) if (chosen.has(name) && form.elements[name].value) query.set(name, form.elements[name].value);
  if (chosen.has("map")) for (const [field, columns] of Object.entries(mapping())) query.append("map", `${field}=${columns.join(",")}`);
  return query;
}

/** Return the columns of each field. */
function mapping() {
  const columns = $$("[data-column]", form);
  return Object.fromEntries(Object.keys(LABELS).map((field) => [field, columns.filter(({ value }) => value.split(" ").includes(field)).map(({ dataset }) => dataset.column)]));
}

/** Request the preview of a file and show it. Throws Problem. */
export async function preview(file, signal) {
  const part = (await file.slice(0, 2).text()) === ZIP ? file : file.slice(0, PREVIEW_SIZE);
  const found = await call("POST", `/v1/people/import/preview?${options()}`, { body: part, type: "application/octet-stream", signal, retry: true });
  signal.throwIfAborted();
  put("#found-format", summary(file, found));
  showWarnings(found.warnings);
  showColumns(found);
  showOptions(found);
  showRows(found.rows);
}

const number = (value) => value?.rawJSON ?? value;

function summary(file, { format, encoding, delimiter, header_line }) {
  const parts = [FORMATS[format] ?? format, encoding && (ENCODINGS[encoding.toLowerCase()] ?? encoding), delimiter && `separated by ${DELIMITERS[delimiter] ?? delimiter}`, header_line && `names of the columns in line ${number(header_line)}`];
  return `${file.name}: ${parts.filter(Boolean).join(", ")}.`;
}

function showWarnings(warnings) {
  $("#warnings").hidden = !warnings.length;
  $("#warnings ul").replaceChildren(...warnings.map(({ line, message }) => {
    const place = line ? `Line ${number(line)}: ` : "";
    return h("li", null, `${place}${message[0].toUpperCase()}${plain(message.slice(1))}. You can change this below.`);
  }));
}

/** Return a message of the API in the words of the page, without the option of the API that the page offers as an input. */
function plain(message) {
  const text = message.replace(/[,;:] (or )?(set |map=).*=.*$/, "").replace(/person_\w+/g, (name) => LABELS[name]?.toLowerCase() ?? name);
  return text.replace(/%\w([^\w\s,]?%\w)+/g, dateLabel).replace(/[\w-]+/g, (word) => ENCODINGS[word] ?? word);
}

function showColumns({ columns, mapping, format }) {
  const known = $$("[data-column]", form).map(({ dataset }) => dataset.column);
  if (chosen.has("map") && known.join() === columns.map(({ name }) => name).join()) return; // the page has the choices of the user
  $("#columns").hidden = !columns.length || !MAPPED_FORMATS.includes(format);
  $("#columns tbody").replaceChildren(...columns.map(({ name, field, examples }) => {
    const fields = Object.keys(LABELS).filter((label) => mapping[label]?.includes(name));
    const role = fields.length ? fields.join(" ") : field ?? "";
    const options = Object.entries(ROLES).map(([value, label]) => h("option", { value }, label));
    const select = h("select", { "data-column": name, "aria-label": `Use of the column ${name}` }, options);
    select.value = role in ROLES ? role : "";
    return h("tr", null, h("th.wrap", { scope: "row" }, h("b", null, name), h("span.hint", null, examples.join(" · "))), h("td", null, select));
  }));
}

/** Show the options that matter for the format, with the guesses of the server as their values. */
function showOptions({ encoding, delimiter, sheet: read, other_sheets: others, mapping, date_formats: formats, date_choices: choices = [], format, columns }) {
  const { elements } = form;
  const isMapped = MAPPED_FORMATS.includes(format);
  const hasDates = isMapped && mapping.person_birthdate;
  for (const [name, isShown] of Object.entries({ encoding: isMapped && encoding, delimiter, sheet: others.length, date_format: hasDates, on_bad_date: hasDates, key: columns.some(({ name }) => name === "person_id") })) elements[name].closest(".field").hidden = !isShown;
  $("#options").hidden = !$(".field:not([hidden])", $("#options"));
  if (!chosen.has("date_format")) {
    const formatsOfAll = [...new Set([...choices, ...formats, ...DATE_FORMATS])].map((value) => h("option", { value }, dateLabel(value)));
    elements.date_format.replaceChildren(h("option", { value: "" }, choices.length ? "Select the format of the file" : "Detected for each date"), ...formatsOfAll);
    elements.date_format.value = choices.length ? "" : formats[0] ?? "";
  }
  if (!chosen.has("encoding")) guess(elements.encoding, encoding);
  if (!chosen.has("delimiter")) guess(elements.delimiter, delimiter);
  elements.sheet.replaceChildren(...[read, ...others].map((name) => h("option", { value: name }, name)));
  elements.sheet.value = read ?? "";
}

/** Select the guess of the server; add it if it is not one of the usual choices. */
function guess(select, value) {
  if (!value) return;
  const label = ENCODINGS[value] ?? value;
  const known = [...select.options].find((option) => option.value === value || option.text === label);
  if (!known) select.append(h("option", { value }, label));
  select.value = known?.value ?? value;
}

function dateLabel(format) {
  if (format === "excel") return "33280 (serial number of Excel)";
  const order = { d: "day first", m: "month first" }[format[1]];
  return format.replace(/%\w/g, (part) => SAMPLE_DATE[part] ?? part) + (order ? ` (${order})` : "");
}

/** Show the first rows as they would be stored, with all fields that occur in them. */
function showRows(rows) {
  const names = new Set(Object.keys(LABELS));
  for (const { person } of rows) for (const name of Object.keys(person ?? {})) names.add(name);
  const shown = [...names].filter((name) => rows.some(({ person }) => person?.[name] !== undefined));
  const lines = rows.map(({ line, result, person, errors }) => ({
    kind: { valid: "good", rejected: "bad" }[result] ?? "soft",
    cells: [number(line), result === "valid" ? "will be stored" : `${result}: ${reasons(errors)}`, ...shown.map((name) => text(name, person?.[name]))],
  }));
  sheet("#preview", ["Line", "Result", ...shown.map((name) => LABELS[name] ?? name)], lines);
}

const text = (name, value) => (value === undefined ? "" : name === "person_birthdate" ? birthdate(value) : typeof value === "string" ? value : JSON.stringify(value));

/** Return the errors of a row as text with the labels of the fields. */
export const reasons = (errors) => (errors ?? []).map(({ pointer, reason }) => `${LABELS[pointer.slice(1)] ?? pointer.slice(1)} ${plain(reason)}`.trim()).join("; ");
