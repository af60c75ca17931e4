// The dialog in which the user signs in again when the session has ended.

import { $, put } from "./dom.js";

let login = null;
/** Show the login dialog once for all waiting requests; resolves to whether the user signed in. */
export const signIn = () => (login ??= showLogin().finally(() => (login = null)));

function showLogin() {
  const dialog = $("#sign-in");
  const form = $("form", dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(false);
    form.onreset = () => dialog.close();
    const resume = () => (resolve(true), dialog.close());
    $("#signed-in").onclick = resume;
    form.onsubmit = async (event) => {
      event.preventDefault();
      const body = new URLSearchParams(new FormData(form));
      const response = await fetch("/console/sign-in", { method: "POST", headers: { Accept: "application/json" }, body }).catch(() => ({}));
      put("#rejected-key", response.ok ? "" : response.status === 401 ? "This key is invalid or expired." : "The server does not respond. Try again.");
      if (!response.ok) return;
      form.elements.key.value = "";
      resume();
    };
  });
}
