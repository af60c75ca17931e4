// Drafts of edits: the session storage of the tab holds unsaved input until it is saved or discarded, or the user signs out.

import { $ } from "./dom.js";

const PREFIX = "draft ";
const KEY = PREFIX + location.pathname;
const user = () => $(".current-user")?.textContent ?? "";

/** Keep the input of the form; `content` is JSON. */
export const keepDraft = (content) => sessionStorage.setItem(KEY, JSON.stringify({ user: user(), time: Date.now(), content }));

export const dropDraft = () => sessionStorage.removeItem(KEY);

/** Return the draft of this page with its `time` and `content`; a draft of another user is dropped. */
export function findDraft() {
  const draft = JSON.parse(sessionStorage.getItem(KEY));
  if (draft && draft.user !== user()) dropDraft();
  return draft?.user === user() ? draft : null;
}
