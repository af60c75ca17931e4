// The import page: choose a file, check the preview of the server, then upload the file and follow the results.

import { newKey } from "./api.js";
import { $, on, put } from "./dom.js";
import { chooseOption, options, preview, reasons, resetOptions } from "./import_preview.js";
import { guard } from "./leave.js";
import { sheet } from "./sheet.js";
import { upload } from "./upload.js";

const RESULTS = ["stored", "updated", "unchanged", "conflict", "rejected", "skipped"];
const MAX_SHOWN = 100; // rejected rows on the page; the download has all of them
const form = $("#mapping");
let request = new AbortController(); // the latest preview
let file, attempt, rejects, counts;

const show = (part) => {
  for (const id of ["choose", "mapping", "running"]) $(`#${id}`).hidden = id !== part;
  $("[tabindex='-1']", $(`#${part}`))?.focus();
};

function chooseAnother(problem = "") {
  show("choose");
  $("#file").value = ""; // the same file can be chosen again
  $("#unreadable").hidden = !problem;
  put("#unreadable", problem);
}

async function open(chosen) {
  if (!chosen) return;
  file = chosen;
  resetOptions();
  $("#choose").classList.add("waiting");
  if (await check()) show("mapping");
}

const messageOf = ({ errors, message }) => errors.map(({ pointer, reason }) => `${pointer} ${reason}`).join("; ") || message;

/** Show the preview; an error leads back to the choice of a file, unless the user changed an option. */
async function check() {
  request.abort(); // its response would replace later choices
  request = new AbortController();
  const { signal } = request;
  $("#start").disabled = true;
  put("#invalid-option", "");
  try {
    await preview(file, signal);
    $("#start").disabled = false;
    return true;
  } catch (reason) {
    if (reason.name === "AbortError") return false;
    if (reason.status === undefined) throw reason;
    if ($("#mapping").hidden) chooseAnother(`${file.name} cannot be imported: ${messageOf(reason)}`);
    else put("#invalid-option", messageOf(reason));
  } finally {
    $("#choose").classList.remove("waiting");
  }
}

async function run() {
  attempt = new AbortController();
  reset();
  running("Importing", true);
  put("#file-name", file.name);
  show("running");
  const key = newKey();
  try {
    await upload(`/v1/people/import?${options()}&filename=${encodeURIComponent(file.name)}`, file, { key, signal: attempt.signal, onProgress, onLine, onRetry: reset });
    ended(counts.failed ?? "Import finished");
  } catch (reason) {
    if (reason.name !== "AbortError" && reason.status === undefined) throw reason;
    if (reason.status === 422) return invalid(reason);
    ended(reason.name === "AbortError" ? "Import cancelled" : `Stopped: ${reason.message}`);
    $("#cancelled").hidden = false;
  }
}

/** Show an error of the options, which the user can change. */
function invalid(reason) {
  guard(() => false);
  show("mapping");
  put("#invalid-option", messageOf(reason));
}

function reset() {
  counts = Object.fromEntries(RESULTS.map((result) => [result, 0]));
  rejects = [];
  onProgress(0);
  showCounts();
  $("#rejected-rows").hidden = $("#cancelled").hidden = true;
}

const onProgress = (part) => ($("#progress").value = part);

/** Count the result of a row; the last line has the account of the whole import. */
function onLine({ result, line, errors, detail, title, ...account }) {
  if (result === "done") counts = { ...counts, ...account };
  else if (result === "failed") counts.failed = `Stopped: ${detail ?? title}`;
  else counts[result]++;
  if (result === "rejected" || result === "conflict") rejects.push([line, reasons(errors) || result]);
  showCounts();
}

function showCounts() {
  for (const result of RESULTS) put(`#${result}`, counts[result].toLocaleString("en"));
}

function running(title, isActive) {
  guard(() => isActive);
  put("#running-title", title);
  $("#stop").hidden = !isActive;
  $("#see").hidden = $("#another").hidden = $("#history").hidden = isActive;
}

function ended(title) {
  running(title, false);
  $("#rejected-rows").hidden = !rejects.length;
  sheet("#reasons", ["Line", "Reason"], rejects.slice(0, MAX_SHOWN).map((cells) => ({ cells, kind: "bad" })));
  const quoted = rejects.map(([line, reason]) => `${line},"${reason.replaceAll('"', '""')}"\n`);
  URL.revokeObjectURL($("#rejects").href);
  $("#rejects").href = URL.createObjectURL(new Blob(["\ufeffline,reason\n", ...quoted], { type: "text/csv" }));
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
on(form, "change", (event) => (chooseOption(event.target), check()));
on(form, "submit", (event) => (event.preventDefault(), run()));
on("#other-file", "click", () => chooseAnother());
on("#stop", "click", () => attempt.abort());
on("#another", "click", () => chooseAnother());
