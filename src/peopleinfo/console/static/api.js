// The people API, as everybody has it. What is read is asked for again until the service answers; what is written is not.

import { pause } from "./dom.js";
import { parse, write } from "./json.js";
import { outage, signIn } from "./frame.js";

const HICCUPS = [429, 502, 503, 504];

/** The service refused (`status`, and `errors` with a `pointer` and a `reason` each), or nobody answered (status 0). */
export class Problem extends Error {
  constructor(status, { title, detail, errors = [] } = {}) {
    super(status === 401 ? "you are not signed in" : detail ?? title ?? `the service answered with status ${status}`);
    Object.assign(this, { status, errors });
  }
}

/** Say whether trying again later may help; what was sent may have arrived or not. */
export const isAway = ({ status }) => status === 0 || status >= 500 || status === 429;

/** Ask the service and return its JSON, its text, or the file that it offers. Throws Problem, and AbortError; those who are `patient` wait for an answer. */
export async function call(method, path, { body, type = "application/json", headers = {}, signal, patient = method === "GET" } = {}) {
  if (body !== undefined) headers = { ...headers, "Content-Type": type };
  const request = { method, signal, headers, body: typeof body === "string" ? body : write(body) };
  for (let attempt = 0; ; attempt++) {
    const answer = await fetch(path, request).catch((reason) => {
      if (reason instanceof TypeError) return null;
      throw reason;
    });
    if (answer?.status === 401 && (await signIn())) continue;
    const away = !answer || HICCUPS.includes(answer.status);
    outage(away && answer?.status !== 429);
    if (!away || (!patient && answer)) return read(answer);
    if (!patient) throw new Problem(0, { detail: "the service does not answer" });
    await pause(Number(answer?.headers.get("Retry-After")) * 1000 || Math.min(500 * 2 ** attempt, 5000), signal);
  }
}

async function read(answer) {
  if (answer.headers.has("Content-Disposition")) return answer.blob();
  const text = await answer.text();
  const json = /[/+]json/.test(answer.headers.get("Content-Type"));
  if (!answer.ok) throw new Problem(answer.status, json ? JSON.parse(text) : {});
  return json && text ? parse(text) : text;
}
