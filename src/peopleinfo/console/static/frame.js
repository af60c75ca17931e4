// What every page has around it: the theme, what is said meanwhile, and who is being removed.

import { $, h, on, put } from "./dom.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Say something in passing; "bad" stays longer. */
export function say(text, kind = "") {
  const note = h(`p.note${kind && "." + kind}`, null, h("span", null, text));
  $("#toasts").append(note);
  setTimeout(() => note.remove(), kind ? 12000 : 5000);
}

/** Say something on the next page. */
export const sayNext = (text) => sessionStorage.setItem("said", text);

/** Tell that the service does not answer, or answers again. */
export function outage(away) {
  const box = $("#outage");
  if (away === Boolean(box.textContent)) return;
  box.textContent = away ? box.dataset.text : "";
  if (!away) say("The service is back.");
}

let signing = null;
/** Ask for a key, once however many wait for it; says whether one was given that is good. */
export const signIn = () => (signing ??= ask().finally(() => (signing = null)));

function ask() {
  const dialog = $("#sign-in");
  const form = $("form", dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(false);
    form.onreset = () => dialog.close();
    const goOn = () => (resolve(true), dialog.close());
    $("#signed-in").onclick = goOn;
    form.onsubmit = async (event) => {
      event.preventDefault();
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch("/console/sign-in", { method: "POST", headers: { Accept: "application/json" }, body }).catch(() => ({}));
      put("#refused-key", answer.ok ? "" : answer.status === 401 ? "This key is not known, or has expired." : "The service does not answer. Try again.");
      if (!answer.ok) return;
      form.elements.key.value = "";
      goOn();
    };
  });
}

let guarded = () => false;
let staying = false;
/** Have the browser ask before this page is left, as long as `unsaved` says so. */
export const guard = (unsaved) => (guarded = unsaved);
/** Leave for another page of the console without being asked. */
export const go = (path) => {
  guarded = () => false;
  staying = true;
  location.assign(path);
};

on("#theme", "click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : DARK.matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `peopleinfo_theme=${root.dataset.theme}; Path=/console; SameSite=Strict; Max-Age=31536000`;
});

on(document, "click", (event) => {
  const link = event.target.closest("a[href]");
  if (link?.origin === location.origin && link.pathname.startsWith("/console")) {
    staying = true;
    setTimeout(() => (staying = false), 2000);
  }
});

addEventListener("beforeunload", (event) => {
  const removing = sessionStorage.getItem("removals") ?? "[]";
  if (guarded() || (removing !== "[]" && !staying)) event.preventDefault();
});

const said = sessionStorage.getItem("said");
if (said) {
  sessionStorage.removeItem("said");
  setTimeout(() => say(said), 100); // a status region is read when it changes, not when it is made
}

if (!JSON.rawJSON) say("This browser is too old for the console.", "bad");
import("./removals.js");
