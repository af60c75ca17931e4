// The layout of every page: theme, menus, notifications from the previous page, and pending deletions.

import { $$, on } from "./dom.js";
import "./leave.js";
import { notify } from "./notifications.js";
import "./undo.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");

on("#theme", "click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : DARK.matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.cookie = `peopleinfo_theme=${root.dataset.theme}; Path=/; SameSite=Strict; Max-Age=31536000`;
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

const notification = sessionStorage.getItem("notification");
if (notification) {
  sessionStorage.removeItem("notification");
  setTimeout(() => notify(notification), 100); // screen readers announce changes of a status region, not its first content
}

// A redirect to the sign-in keeps the search in the fragment; the list restores it after the sign-in.
if (location.pathname === "/console/sign-in" && location.hash.includes("=")) sessionStorage.setItem("fragment", location.hash);

if (!JSON.rawJSON) notify("The console requires a newer browser.", "bad");
