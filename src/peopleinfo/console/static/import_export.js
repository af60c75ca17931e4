// Imports a CSV file: maps its columns and sends its rows in chunks. The Idempotency-Key of a chunk is a hash of its content,
// so that sending a chunk or the whole file again creates no duplicates.

import { call } from "./api.js";
import { $, $$, h, on, put } from "./dom.js";
import { guard } from "./layout.js";
import { record, records } from "./table.js";

const CHUNK_ROWS = 500;
const PREVIEW_ROWS = 20;
const VALID = "will be stored";
const form = $("#mapping");
const selects = $$("#columns select[data-aliases]");
const address = $$("#columns .extra");
let file, head, stopped, rejects;

const show = (part) => {
  for (const id of ["choose", "mapping", "running"]) $(`#${id}`).hidden = id !== part;
  $("[tabindex='-1']", $(`#${part}`))?.focus();
};
const unreadable = (text) => {
  show("choose");
  $("#unreadable").hidden = !text;
  put("#unreadable", text);
};

/** Open a file: detect its encoding, read its first line and suggest a mapping of its columns. */
async function open(chosen) {
  if (!chosen) return;
  file = chosen;
  const start = new Uint8Array(await file.slice(0, 1e6).arrayBuffer());
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(start, { stream: file.size > start.length });
    form.elements.encoding.value = "utf-8";
  } catch {
    form.elements.encoding.value = start[0] === 255 ? "utf-16le" : "windows-1252";
  }
  await mapColumns();
}

async function first(count) {
  const rows = [];
  for await (const row of records(file, form.elements.encoding.value)) if (rows.push(row) > count) break;
  return rows;
}

async function mapColumns() {
  try {
    [head] = await first(0);
  } catch {
    return unreadable(`The encoding of this file is not ${form.elements.encoding.selectedOptions[0].text}. Select another file encoding.`);
  }
  if (!head) return unreadable("This file is empty.");
  const names = head.cells.map((name) => name.trim());
  if (new Set(names).size < names.length) return unreadable("The first line has two columns with the same name. Rename one of them.");
  const normalized = names.map((name) => name.toLowerCase().replace(/[^a-z0-9]/g, ""));
  const used = new Set();
  for (const select of [...selects, ...address]) {
    select.replaceChildren(h("option", { value: "" }, select.dataset.aliases ? "not in this file" : "no second column"), ...names.map((name) => h("option", { value: name }, name)));
    const found = select.dataset.aliases?.split(" ").find((alias) => normalized.includes(alias) && !used.has(alias));
    if (found) select.value = names[normalized.indexOf(found)];
    used.add(found);
  }
  unreadable("");
  show("mapping");
  preview();
}

/** Return the column mapping as query parameters. */
function mapping() {
  const query = new URLSearchParams();
  for (const { id, value } of selects) if (value) query.append("map", `${id}=${id === "person_address" ? [value, ...address.map((more) => more.value).filter(Boolean)].join(",") : value}`);
  if (form.elements.dates.value) query.set("date_format", form.elements.dates.value);
  return query;
}

/** Import rows and return the result of each. */
async function send(rows, query, key) {
  const body = [head, ...rows].map((row) => record(row.cells, head.delimiter)).join("\n");
  const text = await call("POST", `/v1/people/import?${query}`, { body, type: "text/csv", headers: key ? { "Idempotency-Key": await key(body) } : {}, retry: true });
  return text.trim().split("\n").map(JSON.parse).slice(0, -1);
}

const errorText = ({ errors }) => errors.map(({ pointer, reason }) => `${pointer.slice(1)} ${reason}`.trim()).join("; ");

async function preview() {
  const query = mapping();
  query.set("dry_run", "true");
  const rows = (await first(PREVIEW_ROWS)).slice(1);
  try {
    const outcomes = await send(rows, query);
    sheet("#preview", ["", ...head.cells], rows.map((row, at) => [outcomes[at].errors ? errorText(outcomes[at]) : VALID, ...row.cells]));
    $("#start").disabled = false;
  } catch (reason) {
    if (!reason.status) throw reason;
    $("#start").disabled = true;
    sheet("#preview", [], [[reason.message]]);
  }
}

function sheet(table, names, rows) {
  const body = rows.map(([first, ...cells]) => h("tr", null, [h(first === VALID ? "td" : "td.bad", null, first), ...cells.map((cell) => h("td", null, cell))]));
  $(table).replaceChildren(h("thead", null, h("tr", null, names.map((name) => h("th", { scope: "col" }, name)))), h("tbody", null, body));
}

async function run() {
  const query = mapping();
  const counts = { stored: 0, duplicate: 0, rejected: 0 };
  const name = async (body) => {
    const digest = await crypto.subtle?.digest("SHA-256", new TextEncoder().encode(query + body));
    return digest ? btoa(String.fromCharCode(...new Uint8Array(digest))) : `${Math.random()}`;
  };
  rejects = [];
  stopped = false;
  running("Importing", true);
  $("#rejected-rows").hidden = true;
  put("#file-name", file.name);
  show("running");
  const store = async (rows, read) => {
    for (const [at, outcome] of (await send(rows, query, name)).entries()) {
      counts[outcome.result === "unchanged" ? "duplicate" : outcome.result]++;
      if (outcome.errors) rejects.push({ ...rows[at], errorText: errorText(outcome) });
    }
    $("#progress").value = read;
    for (const [kind, count] of Object.entries(counts)) put(`#${kind}`, count.toLocaleString("en"));
  };
  let title = "Import finished";
  try {
    const chunk = [];
    for await (const row of records(file, form.elements.encoding.value)) {
      if (stopped) break;
      if (row.line > head.line) chunk.push(row);
      if (chunk.length === CHUNK_ROWS) await store(chunk.splice(0), row.read);
    }
    if (chunk.length && !stopped) await store(chunk, 1);
    if (stopped) title = "Stopped";
  } catch (reason) {
    title = reason instanceof TypeError ? "Stopped: the file has another encoding" : `Stopped: ${reason.message}`;
  }
  ended(title);
}

function running(title, isActive) {
  guard(() => isActive);
  put("#running-title", title);
  $("#stop").hidden = !isActive;
  $("#see").hidden = $("#another").hidden = isActive;
}

function ended(title) {
  running(title, false);
  $("#rejected-rows").hidden = !rejects.length;
  // Cells beyond the header go to the end, so that all other cells stay in their columns.
  const rows = rejects.map(({ cells, line, errorText }) => [...head.cells.map((_, at) => cells[at] ?? ""), `${line}`, errorText, ...cells.slice(head.cells.length)]);
  const lines = [[...head.cells, "reject_line", "reject_reason"], ...rows].map((cells) => `${record(cells, head.delimiter)}\n`);
  $("#rejects").href = URL.createObjectURL(new Blob(["\ufeff", ...lines], { type: "text/csv" }));
  sheet("#reasons", ["Reason", "Line", ...head.cells], rejects.slice(0, 100).map(({ cells, line, errorText }) => [errorText, line, ...cells]));
  $("#running-title").focus();
}

const drop = $("#drop");
on("#file", "change", (event) => open(event.target.files[0]));
for (const kind of ["dragover", "dragleave", "drop"])
  addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && !$("#choose").hidden) open(event.dataTransfer.files[0]);
  });
on(form, "change", (event) => (event.target.id === "encoding" ? mapColumns() : preview()));
on(form, "submit", (event) => (event.preventDefault(), run()));
on(form, "reset", () => unreadable(""));
on("#stop", "click", () => (stopped = true));
on("#another", "click", () => unreadable(""));
