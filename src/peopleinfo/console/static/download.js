// Downloads of exports. The filters go in the body of a request, so that no name appears in a URL.

import { call } from "./api.js";
import { $, $$, h, on } from "./dom.js";
import { notify } from "./notifications.js";

/** Let the buttons of a menu export the people that match the fields of `people()`, which may be a promise. */
export function offerExports(menu, people) {
  for (const button of $$("button", $(menu))) on(button, "click", () => download(button, people));
}

/** Export people in the format of the button, and save the file; the button is disabled in the meantime. */
async function download(button, people) {
  if (button.ariaDisabled) return;
  button.ariaDisabled = "true";
  const { format, for: purpose, extension } = button.dataset;
  try {
    const file = await call("POST", "/v1/people/export", { body: { ...(await people()), format, ...(purpose && { for: purpose }) }, retry: true });
    const href = URL.createObjectURL(file);
    h("a", { href, download: `people.${extension}` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 9999); // after the browser has started the download
  } catch (reason) {
    notify(`Export failed: ${reason.message}`, "bad");
  }
  button.ariaDisabled = null;
}
