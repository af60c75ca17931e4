// Client of the public API. Reads are retried until the server responds; writes are not.

import { pause } from "./dom.js";
import { parse, write } from "./json.js";
import { signIn } from "./sign_in.js";
import { showOutage } from "./outage.js";

export const RETRYABLE = [429, 502, 503, 504];

/** An error response with its `status`, `errors` (each with `pointer` and `reason`) and `fields`, or no response (status 0). */
export class Problem extends Error {
  constructor(status, { title, detail, errors = [], fields } = {}) {
    super(status === 401 ? "You are not signed in" : detail ?? title ?? `the server responded with status ${status}`);
    Object.assign(this, { status, errors, fields });
  }
}

/** Return whether a retry may help; the server may have handled the request. */
export const isUnavailable = ({ status }) => status === 0 || status >= 500 || status === 429;

/** Return an Idempotency-Key, so that a retry creates nothing twice. */
export const newKey = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;

/** Send a request and return the JSON, text or file of the response. Throws Problem and AbortError; with `retry`, wait until the server responds. */
export async function call(method, path, { body, type = "application/json", headers = {}, signal, retry = method === "GET" } = {}) {
  if (body !== undefined) headers = { ...headers, "Content-Type": type };
  const request = { method, signal, headers, body: typeof body === "string" || body instanceof Blob ? body : write(body) };
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(path, request).catch((reason) => {
      if (reason instanceof TypeError) return null;
      throw reason;
    });
    if (response?.status === 401 && (await signIn())) continue;
    const unavailable = !response || RETRYABLE.includes(response.status);
    showOutage(unavailable && response?.status !== 429);
    if (!unavailable || (!retry && response)) return read(response);
    if (!retry) throw new Problem(0, { detail: "the server does not respond" });
    await pause(Number(response?.headers.get("Retry-After")) * 1000 || Math.min(500 * 2 ** attempt, 5000), signal);
  }
}

async function read(response) {
  if (response.headers.has("Content-Disposition")) return response.blob();
  const text = await response.text();
  const json = /[/+]json/.test(response.headers.get("Content-Type"));
  if (!response.ok) throw new Problem(response.status, json ? JSON.parse(text) : {});
  return json && text ? parse(text) : text;
}
