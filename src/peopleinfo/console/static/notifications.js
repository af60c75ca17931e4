// Notifications, and the message of a page that cannot be loaded.

import { $, h } from "./dom.js";

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
