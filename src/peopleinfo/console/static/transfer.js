// A table from a file into the service: columns are mapped, then its rows go out piece by piece. A piece is named after what stands in it,
// so that one that is sent again, by this page or when the same file is dropped once more, adds nobody twice.

import { call } from "./api.js";
import { $, $$, h, on, put } from "./dom.js";
import { guard } from "./frame.js";
import { record, records } from "./table.js";

const PIECE = 500; // rows: a moment's work for the service
const SHOWN = 20;
const STORED = "will be stored";
const form = $("#mapping");
const selects = $$("#columns select[data-known]");
const address = $$("#columns .further");
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

/** Begin with a file: guess how its letters are encoded, read its first line, and what each column is likely to be. */
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
  await look();
}

async function first(count) {
  const rows = [];
  for await (const row of records(file, form.elements.encoding.value)) if (rows.push(row) > count) break;
  return rows;
}

async function look() {
  try {
    [head] = await first(0);
  } catch {
    return unreadable(`This file is not written in ${form.elements.encoding.selectedOptions[0].text}.`);
  }
  if (!head) return unreadable("This file is empty.");
  const names = head.cells.map((name) => name.trim());
  if (new Set(names).size < names.length) return unreadable("The first line names a column more than once: rename one of them.");
  const plain = names.map((name) => name.toLowerCase().replace(/[^a-z0-9]/g, ""));
  const used = new Set();
  for (const select of [...selects, ...address]) {
    select.replaceChildren(h("option", { value: "" }, select.dataset.known ? "not in this file" : "and nothing else"), ...names.map((name) => h("option", { value: name }, name)));
    const found = select.dataset.known?.split(" ").find((known) => plain.includes(known) && !used.has(known));
    if (found) select.value = names[plain.indexOf(found)];
    used.add(found);
  }
  unreadable("");
  show("mapping");
  preview();
}

/** Return how the service is to read the columns. */
function mapping() {
  const query = new URLSearchParams();
  for (const { id, value } of selects) if (value) query.set(id, id === "person_address" ? [value, ...address.map((more) => more.value).filter(Boolean)].join(",") : value);
  if (form.elements.dates.value) query.set("date_format", form.elements.dates.value);
  return query;
}

/** Send rows and return what became of each. */
async function send(rows, query, key) {
  const body = [head, ...rows].map((row) => record(row.cells, head.delimiter)).join("\n");
  const text = await call("POST", `/v1/people/import?${query}`, { body, type: "text/csv", headers: key ? { "Idempotency-Key": await key(body) } : {}, patient: true });
  return text.trim().split("\n").map(JSON.parse).slice(0, -1);
}

const why = ({ errors }) => errors.map(({ pointer, reason }) => `${pointer.slice(1)} ${reason}`.trim()).join("; ");

async function preview() {
  const query = mapping();
  query.set("dry_run", "true");
  const rows = (await first(SHOWN)).slice(1);
  try {
    const outcomes = await send(rows, query);
    sheet("#preview", ["", ...head.cells], rows.map((row, at) => [outcomes[at].errors ? why(outcomes[at]) : STORED, ...row.cells]));
    $("#start").disabled = false;
  } catch (reason) {
    if (!reason.status) throw reason;
    $("#start").disabled = true;
    sheet("#preview", [], [[reason.message]]);
  }
}

function sheet(table, names, rows) {
  const body = rows.map(([first, ...cells]) => h("tr", null, [h(first === STORED ? "td" : "td.bad", null, first), ...cells.map((cell) => h("td", null, cell))]));
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
  $("#refused").hidden = true;
  put("#file-name", file.name);
  show("running");
  const store = async (rows, read) => {
    for (const [at, outcome] of (await send(rows, query, name)).entries()) {
      counts[outcome.result]++;
      if (outcome.errors) rejects.push({ ...rows[at], why: why(outcome) });
    }
    $("#progress").value = read;
    for (const [kind, count] of Object.entries(counts)) put(`#${kind}`, count.toLocaleString("en"));
  };
  let title = "All rows are read";
  try {
    const piece = [];
    for await (const row of records(file, form.elements.encoding.value)) {
      if (stopped) break;
      if (row.line > head.line) piece.push(row);
      if (piece.length === PIECE) await store(piece.splice(0), row.read);
    }
    if (piece.length && !stopped) await store(piece, 1);
    if (stopped) title = "Stopped";
  } catch (reason) {
    title = reason instanceof TypeError ? "Stopped: letters of another encoding" : `Stopped: ${reason.message}`;
  }
  ended(title);
}

function running(title, still) {
  guard(() => still);
  put("#running-title", title);
  $("#stop").hidden = !still;
  $("#see").hidden = $("#another").hidden = still;
}

function ended(title) {
  running(title, false);
  $("#refused").hidden = !rejects.length;
  // Cells that the header knows nothing of stand at the end, so that the others stay in their columns.
  const whole = rejects.map(({ cells, line, why }) => [...head.cells.map((_, at) => cells[at] ?? ""), `${line}`, why, ...cells.slice(head.cells.length)]);
  const lines = [[...head.cells, "reject_line", "reject_reason"], ...whole].map((cells) => `${record(cells, head.delimiter)}\n`);
  $("#rejects").href = URL.createObjectURL(new Blob(["\ufeff", ...lines], { type: "text/csv" }));
  sheet("#reasons", ["Reason", "Line", ...head.cells], rejects.slice(0, 100).map(({ cells, line, why }) => [why, line, ...cells]));
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
on(form, "change", (event) => (event.target.id === "encoding" ? look() : preview()));
on(form, "submit", (event) => (event.preventDefault(), run()));
on(form, "reset", () => unreadable(""));
on("#stop", "click", () => (stopped = true));
on("#another", "click", () => unreadable(""));
