// The outage banner: while it is visible, the page polls the server, so that it disappears without a click.

import { $, pause } from "./dom.js";
import { notify } from "./notifications.js";

const POLL_INTERVAL = 2000;
const RESPONSE_TIMEOUT = 5000;
const box = $("#outage");
const isShown = () => Boolean(box.textContent);

/** Show the banner until the server is ready, or hide it. The event "recovered" reports the end of an outage. */
export function showOutage(unavailable) {
  if (unavailable === isShown()) return;
  box.textContent = unavailable ? box.dataset.text : "";
  if (unavailable) return poll();
  notify("The server responds again.");
  dispatchEvent(new Event("recovered"));
}

async function poll() {
  while (isShown()) {
    await pause(POLL_INTERVAL);
    const response = await fetch("/status", { signal: AbortSignal.timeout(RESPONSE_TIMEOUT) }).catch(() => null);
    if (response?.ok) showOutage(false);
  }
}
