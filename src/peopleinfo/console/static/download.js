// Downloads of exports. The filters go in the body of a request, so that no name appears in a URL.

import { call } from "./api.js";
import { h } from "./dom.js";
import { notify } from "./layout.js";

/** Export the people that match the fields of `body`, and save the file; the button is disabled in the meantime. */
export async function download(button, body) {
  if (button.ariaDisabled) return;
  button.ariaDisabled = "true";
  try {
    const file = await call("POST", "/v1/people/export", { body, retry: true });
    const href = URL.createObjectURL(file);
    h("a", { href, download: `people.${body.format}` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 9999); // after the browser has started the download
  } catch (reason) {
    notify(`Export failed: ${reason.message}`, "bad");
  }
  button.ariaDisabled = null;
}
