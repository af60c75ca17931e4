// Health of the service from /metrics and /status, without the console's own requests.

import { call } from "./api.js";
import { $, h, pause, put } from "./dom.js";
import { notify } from "./layout.js";
import { showOutage } from "./outage.js";

const SAMPLES = 90;
const lines = {};
let last;

/** Parse metrics into a map from names, without their prefix, to values with labels. */
function parseMetrics(text) {
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

/** Return histogram buckets as bounds and counts, summed over all series. */
function buckets(values) {
  const counts = new Map();
  for (const { le, value } of values ?? []) counts.set(le, (counts.get(le) ?? 0) + value);
  return [...counts].map(([le, count]) => [le === "+Inf" ? Infinity : Number(le), count]).sort(([a], [b]) => a - b);
}

/** Return a quantile of a histogram, in seconds. */
function quantile(part, counts) {
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
  const samples = (lines[id] ??= []);
  samples.push(value || 0);
  if (samples.length > SAMPLES) samples.shift();
  const maximum = Math.max(...samples) || 1;
  const path = samples.map((value, at) => `${SAMPLES - samples.length + at} ${(29 - (27 * value) / maximum).toFixed(1)}`).join("L");
  const box = $(`#${id}`);
  box.hidden = false;
  $("output", box).value = text;
  $(".line", box).setAttribute("d", `M${path}`);
  $(".area", box).setAttribute("d", `M${SAMPLES - samples.length} 30L${path}L${SAMPLES - 1} 30`);
}

function show(now, seconds) {
  const change = (name, test) => Math.max(0, sum(now.get(name), test) - sum(last.get(name), test));
  for (const [id, test] of [["requests"], ["errors", failed]]) {
    const rate = change("http_requests_total", test) / seconds;
    draw(id, rate, count(rate));
  }
  for (const [id, name, part] of [["median", "http_request", 0.5], ["slow", "http_request", 0.99], ["store", "store_operation", 0.99]]) {
    const metric = `${name}_duration_seconds_bucket`;
    const seconds = quantile(part, since(buckets(now.get(metric)), buckets(last.get(metric))));
    if (now.has(metric)) draw(id, seconds, time(seconds));
  }
  const reads = change("cache_reads_total");
  const hits = change("cache_reads_total", ({ source }) => ["local", "shared"].includes(source)) / reads;
  if (now.has("cache_reads_total")) draw("cache", hits, reads ? `${Math.round(hits * 100)} %` : "–");
}

function table(now) {
  const requests = now.get("http_requests_total") ?? [];
  const routes = Object.groupBy(requests, ({ method, route }) => `${method} ${route}`);
  $("#routes tbody").replaceChildren(...Object.entries(routes).sort().map(([name, series]) => {
    const times = buckets(now.get("http_request_duration_seconds_bucket")?.filter(({ method, route }) => `${method} ${route}` === name));
    const cells = [sum(series).toLocaleString("en"), sum(series, failed), time(quantile(0.5, times)), time(quantile(0.99, times))];
    return h("tr", null, h("th", { scope: "row" }, name), cells.map((cell) => h("td.figure", null, cell)));
  }));
  put("#memory", `${Math.round(sum(now.get("process_resident_memory_bytes")) / 1e6)} MB`);
}

async function status() {
  const response = await fetch("/status");
  const { status, version, store = "–", cache = "none" } = await response.json();
  put("#state", response.ok ? "Healthy" : `Not ready: ${status}`);
  $("#state").classList.toggle("bad", !response.ok);
  put("#version", version);
  put("#store-state", store);
  put("#cache-state", cache);
}

for (let before; ; await pause(2000)) {
  if (document.hidden) continue;
  let now;
  try {
    await status();
    now = parseMetrics(await call("GET", "/metrics"));
  } catch (reason) {
    showOutage(!reason.status);
    if (!reason.status) continue;
    notify(reason.message, "bad");
    break;
  }
  const at = performance.now();
  if (last) show(now, (at - before) / 1000);
  table(now);
  [last, before] = [now, at];
}
