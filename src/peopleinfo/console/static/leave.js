// The confirmation before the user leaves a page with unsaved input, or the console with pending deletions.

import { on } from "./dom.js";

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

on(document, "click", (event) => {
  const link = event.target.closest("a[href]");
  if (link?.origin === location.origin && link.pathname.startsWith("/console")) {
    isInternal = true;
    setTimeout(() => (isInternal = false), 2000);
  }
});

addEventListener("beforeunload", (event) => {
  const deletions = sessionStorage.getItem("deletions") ?? "[]";
  if (isUnsaved() || (deletions !== "[]" && !isInternal)) event.preventDefault();
});
