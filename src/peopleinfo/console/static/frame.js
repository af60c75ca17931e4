// What every page has around it: the theme, what is said meanwhile, and who is being removed.

import { $, h } from "./dom.js";

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
  const text = "The service does not answer. Nothing is lost; this page goes on as soon as it is back.";
  if (away && box.textContent !== text) box.textContent = text;
  else if (!away && box.textContent) {
    box.textContent = "";
    say("The service is back.");
  }
}

/** Ask for a key, when there are keys; says whether it is worth asking again. */
export async function signIn() {
  return false;
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

$("#theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : DARK.matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `peopleinfo_theme=${root.dataset.theme}; Path=/console; SameSite=Strict; Max-Age=31536000`;
});

document.addEventListener("click", (event) => {
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

if (!JSON.rawJSON) say("This browser is too old for the console: Chrome 123, Firefox 135 or Safari 18.4 will do.", "bad");
import("./removals.js");
