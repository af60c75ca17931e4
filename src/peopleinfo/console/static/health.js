// Health of the service from /metrics and /status, without the console's own requests.

import { call } from "./api.js";
import { $, h, pause, put } from "./dom.js";
import { notify } from "./notifications.js";
import { showOutage } from "./outage.js";

const SAMPLES = 90;
const INTERVAL = 2000;
const rates = []; // requests per second by result: [successful, client errors, server errors]
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
const isClientError = ({ status }) => status >= 400 && status < 500;
const isServerError = ({ status }) => status >= 500;
const percent = (part, all) => (all ? `${count((100 * part) / all)} %` : "–");

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

const increase = (now, before) => now.map(([bound, count], at) => [bound, count - (before[at]?.[1] ?? 0)]);
const count = (number) => Number(number.toPrecision(2)).toLocaleString("en");
const time = (seconds) => (isNaN(seconds) ? "–" : `${count(seconds * 1000)} ms`);

function gauge(id, text, hint = "") {
  const box = $(`#${id}`);
  box.hidden = false;
  $("output", box).value = text;
  $(".hint", box).textContent = hint;
}

function show(now, seconds) {
  const change = (name, test) => Math.max(0, sum(now.get(name), test) - sum(last.get(name), test));
  const [all, client, server] = [undefined, isClientError, isServerError].map((test) => change("http_requests_total", test) / seconds);
  const since = (test) => `${sum(now.get("http_requests_total"), test).toLocaleString("en")} since start`;
  rates.push([all - client - server, client, server]);
  if (rates.length > SAMPLES) rates.shift();
  const recent = (kinds) => rates.reduce((total, rate) => total + kinds.reduce((part, kind) => part + rate[kind], 0), 0);
  gauge("requests", count(all), since());
  gauge("client-errors", percent(recent([1]), recent([0, 1, 2])), since(isClientError));
  gauge("server-errors", percent(recent([2]), recent([0, 1, 2])), since(isServerError));
  for (const [id, name, part] of [["median", "http_request", 0.5], ["slow", "http_request", 0.99], ["store", "store_operation", 0.99]]) {
    const metric = `${name}_duration_seconds_bucket`;
    if (now.has(metric)) gauge(id, time(quantile(part, increase(buckets(now.get(metric)), buckets(last.get(metric))))));
  }
  const hits = change("cache_reads_total", ({ source }) => ["local", "shared"].includes(source));
  if (now.has("cache_reads_total")) gauge("cache", percent(hits, change("cache_reads_total")));
  chart();
}

/** Draw the rates of the results on top of each other. */
function chart() {
  const totals = rates.map((rate) => rate.reduce((all, part) => all + part));
  const maximum = Math.max(...totals, 0.1);
  const y = (value) => (40 - (40 * value) / maximum).toFixed(2);
  const x = (at) => SAMPLES - rates.length + at;
  ["ok", "client", "server"].forEach((name, kind) => {
    const top = rates.map((rate) => rate.slice(kind).reduce((all, part) => all + part));
    const bottom = rates.map((rate) => rate.slice(kind + 1).reduce((all, part) => all + part, 0));
    const line = (values) => values.map((value, at) => `${x(at)} ${y(value)}`);
    $(`svg .${name}`).setAttribute("d", `M${[...line(top), ...line(bottom).reverse()].join("L")}Z`);
  });
  put("#maximum", count(maximum));
  put("#chart-text", `At most ${count(maximum)} requests per second in the last three minutes.`);
}

function table(now) {
  const requests = now.get("http_requests_total") ?? [];
  const routes = Object.groupBy(requests, ({ method, route }) => `${method} ${route}`);
  $("#routes tbody").replaceChildren(...Object.entries(routes).sort().map(([name, series]) => {
    const times = buckets(now.get("http_request_duration_seconds_bucket")?.filter(({ method, route }) => `${method} ${route}` === name));
    const cells = [undefined, isClientError, isServerError].map((test) => sum(series, test).toLocaleString("en"));
    return h("tr", null, h("th", { scope: "row" }, name), [...cells, time(quantile(0.5, times)), time(quantile(0.99, times))].map((cell) => h("td.figure", null, cell)));
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

for (let before, problem; ; await pause(INTERVAL)) {
  if (document.hidden) continue;
  try {
    await status();
    const now = parseMetrics(await call("GET", "/metrics"));
    const at = performance.now();
    if (last) show(now, (at - before) / 1000);
    table(now);
    [last, before, problem] = [now, at, ""];
  } catch (reason) {
    showOutage(!reason.status);
    if (reason.status && problem !== reason.message) notify((problem = reason.message), "bad");
  }
}
