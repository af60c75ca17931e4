// How the service is, by its own figures (/metrics) and its own word (/status); what the console itself asks for does not count.

import { call } from "./api.js";
import { $, h, pause, put } from "./dom.js";
import { outage, say } from "./frame.js";

const KEPT = 90;
const lines = {};
let last;

/** Take the figures apart: a name (without ours before it) leads to its values, each with its labels. */
function figures(text) {
  const found = new Map();
  for (const [, name, labels, value] of text.matchAll(/^(?:peopleinfo_)?(\w+)(?:\{(.*)\})? (\S+)/gm)) {
    const pairs = Object.fromEntries([...(labels ?? "").matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    if (/^\/(console|metrics|status)/.test(pairs.route)) continue;
    found.set(name, [...(found.get(name) ?? []), { ...pairs, value: Number(value) }]);
  }
  return found;
}

const sum = (values, test = () => true) => (values ?? []).filter(test).reduce((all, { value }) => all + value, 0);
const failed = ({ status }) => status >= 500;

/** Return buckets as bounds and counts, all series together. */
function buckets(values) {
  const counts = new Map();
  for (const { le, value } of values ?? []) counts.set(le, (counts.get(le) ?? 0) + value);
  return [...counts].map(([le, count]) => [le === "+Inf" ? Infinity : Number(le), count]).sort(([a], [b]) => a - b);
}

/** Return within how many seconds a part of what was counted was done. */
function within(part, counts) {
  const wanted = part * (counts.at(-1)?.[1] ?? 0);
  let [low, below] = [0, 0];
  for (const [bound, count] of counts) {
    if (count >= wanted && wanted) return bound === Infinity ? low : low + ((bound - low) * (wanted - below)) / (count - below || 1);
    [low, below] = [bound, count];
  }
  return NaN;
}

const since = (now, before) => now.map(([bound, count], at) => [bound, count - (before[at]?.[1] ?? 0)]);
const count = (number) => Number(number.toPrecision(2)).toLocaleString("en");
const time = (seconds) => (isNaN(seconds) ? "–" : `${count(seconds * 1000)} ms`);

function draw(id, value, text) {
  const kept = (lines[id] ??= []);
  kept.push(value || 0);
  if (kept.length > KEPT) kept.shift();
  const most = Math.max(...kept) || 1;
  const path = kept.map((value, at) => `${KEPT - kept.length + at} ${(29 - (27 * value) / most).toFixed(1)}`).join("L");
  const box = $(`#${id}`);
  box.hidden = false;
  $("output", box).value = text;
  $(".line", box).setAttribute("d", `M${path}`);
  $(".area", box).setAttribute("d", `M${KEPT - kept.length} 30L${path}L${KEPT - 1} 30`);
}

function show(now, seconds) {
  const change = (name, test) => Math.max(0, sum(now.get(name), test) - sum(last.get(name), test));
  for (const [id, test] of [["requests"], ["errors", failed]]) {
    const rate = change("http_requests_total", test) / seconds;
    draw(id, rate, count(rate));
  }
  for (const [id, name, part] of [["median", "http_request", 0.5], ["slow", "http_request", 0.99], ["store", "store", 0.99]]) {
    const figure = `${name}_seconds_bucket`;
    const seconds = within(part, since(buckets(now.get(figure)), buckets(last.get(figure))));
    if (now.has(figure)) draw(id, seconds, time(seconds));
  }
  const reads = change("cache_reads_total");
  const hits = change("cache_reads_total", ({ source }) => ["local", "shared"].includes(source)) / reads;
  if (now.has("cache_reads_total")) draw("cache", hits, reads ? `${Math.round(hits * 100)} %` : "–");
}

function table(now) {
  const requests = now.get("http_requests_total") ?? [];
  const routes = Object.groupBy(requests, ({ method, route }) => `${method} ${route}`);
  $("#routes tbody").replaceChildren(...Object.entries(routes).sort().map(([name, ours]) => {
    const times = buckets(now.get("http_request_duration_seconds_bucket")?.filter(({ method, route }) => `${method} ${route}` === name));
    const cells = [sum(ours).toLocaleString("en"), sum(ours, failed), time(within(0.5, times)), time(within(0.99, times))];
    return h("tr", null, h("th", { scope: "row" }, name), cells.map((cell) => h("td.figure", null, cell)));
  }));
  put("#memory", `${Math.round(sum(now.get("process_resident_memory_bytes")) / 1e6)} MB`);
}

async function status() {
  const answer = await fetch("/status");
  const { status, version, store = "–", cache = "none" } = await answer.json();
  put("#state", answer.ok ? "It serves" : `It does not serve: ${status}`);
  $("#state").classList.toggle("bad", !answer.ok);
  put("#version", version);
  put("#store-state", store);
  put("#cache-state", cache);
}

for (let before; ; await pause(2000)) {
  if (document.hidden) continue;
  let now;
  try {
    await status();
    now = figures(await call("GET", "/metrics"));
  } catch (reason) {
    outage(!reason.status);
    if (!reason.status) continue;
    say(reason.message, "bad");
    break;
  }
  const at = performance.now();
  if (last) show(now, (at - before) / 1000);
  table(now);
  [last, before] = [now, at];
}
