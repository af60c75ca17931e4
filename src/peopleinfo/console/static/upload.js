// Uploads of files, with the progress of the request and the lines of the response.

import { Problem, RETRYABLE } from "./api.js";
import { pause } from "./dom.js";
import { signIn } from "./sign_in.js";
import { showOutage } from "./outage.js";

const RETRY_DELAY = 2000;
const READ_INTERVAL = 300;

/**
 * Send a file. Calls `onProgress` with the sent part (0 to 1) and `onLine` with each JSON line of the response. During an outage, sends the file
 * again after a call of `onRetry`, with the same Idempotency-Key. Throws Problem and AbortError.
 */
export async function upload(path, file, { key, signal, onProgress, onLine, onRetry }) {
  for (;;) {
    const { status, retryAfter, problem } = await attempt(path, file, { key, signal, onProgress, onLine });
    const unavailable = !status || RETRYABLE.includes(status);
    showOutage(unavailable && status !== 429);
    if (status === 200) return;
    if (!unavailable && !(status === 401 && (await signIn()))) throw new Problem(status, problem);
    if (unavailable) await pause(retryAfter * 1000 || RETRY_DELAY, signal);
    onRetry();
  }
}

/** Send the file once; status 0 means that no complete response arrived. */
function attempt(path, file, { key, signal, onProgress, onLine }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let read = 0;
    const readLines = () => {
      const end = request.responseText.lastIndexOf("\n") + 1;
      const lines = request.responseText.slice(read, end).split("\n").filter(Boolean);
      read = Math.max(read, end);
      for (const line of lines) onLine(JSON.parse(line));
    };
    const timer = setInterval(() => request.status === 200 && readLines(), READ_INTERVAL);
    const end = (result) => {
      clearInterval(timer);
      resolve(result);
    };
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
    request.onerror = request.ontimeout = () => end({ status: 0 });
    request.onload = () => {
      if (request.status === 200) readLines();
      const isJson = /[/+]json/.test(request.getResponseHeader("Content-Type"));
      end({ status: request.status, retryAfter: Number(request.getResponseHeader("Retry-After")), problem: isJson && request.status !== 200 ? JSON.parse(request.responseText) : {} });
    };
    signal.addEventListener("abort", () => (clearInterval(timer), request.abort(), reject(signal.reason)));
    request.open("POST", path);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Idempotency-Key", key);
    request.send(file);
  });
}
