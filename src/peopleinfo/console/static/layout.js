// The layout of every page: theme, notifications, login dialog and pending deletions.

import { $, $$, h, on, put } from "./dom.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Show a notification; those of kind "bad" stay longer. */
export function notify(text, kind = "") {
  const note = h(`p.note${kind && "." + kind}`, null, h("span", null, text));
  $("#toasts").append(note);
  setTimeout(() => note.remove(), kind ? 12000 : 5000);
}

/** Show an error response as a notification; rethrows any other error. */
export function notifyProblem(problem) {
  if (problem.status === undefined) throw problem;
  notify(problem.message, "bad");
}

/** Show in the page why its content cannot be loaded. */
export const showProblem = ({ message }) => $("#problem").replaceChildren(h("p.problem", null, message));

/** Show a notification on the next page. */
export const notifyNext = (text) => sessionStorage.setItem("notification", text);

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

let isUnsaved = () => false;
let isInternal = false;
/** Make the browser confirm leaving this page while `unsaved()` is true. */
export const guard = (unsaved) => (isUnsaved = unsaved);
/** Open another page of the console without confirmation. */
export const leaveTo = (path) => {
  isUnsaved = () => false;
  isInternal = true;
  location.assign(path);
};

on("#theme", "click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : DARK.matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `peopleinfo_theme=${root.dataset.theme}; Path=/; SameSite=Strict; Max-Age=31536000`;
});

on(document, "click", (event) => {
  const link = event.target.closest("a[href]");
  if (link?.origin === location.origin && link.pathname.startsWith("/console")) {
    isInternal = true;
    setTimeout(() => (isInternal = false), 2000);
  }
});

on(document, "submit", ({ target }) => {
  if (target.getAttribute("action") !== "/console/sign-out") return;
  for (const name of Object.keys(sessionStorage)) if (name !== "deletions") sessionStorage.removeItem(name);
});

/** Close open menus, except the one that contains `target`. */
const closeMenus = (target) => $$(".menu[open]").forEach((menu) => menu.contains(target) || (menu.open = false));
on(document, "click", ({ target }) => closeMenus(target));
on(document, "keydown", ({ key, target }) => {
  if (key !== "Escape") return;
  target.closest(".menu[open]")?.querySelector("summary").focus();
  closeMenus();
});

addEventListener("beforeunload", (event) => {
  const deletions = sessionStorage.getItem("deletions") ?? "[]";
  if (isUnsaved() || (deletions !== "[]" && !isInternal)) event.preventDefault();
});

const notification = sessionStorage.getItem("notification");
if (notification) {
  sessionStorage.removeItem("notification");
  setTimeout(() => notify(notification), 100); // screen readers announce changes of a status region, not its first content
}

// A redirect to the sign-in keeps the search in the fragment; the list restores it after the sign-in.
if (location.pathname === "/console/sign-in" && location.hash.includes("=")) sessionStorage.setItem("fragment", location.hash);

if (!JSON.rawJSON) notify("The console requires a newer browser.", "bad");
import("./undo.js");
