// The latest results of this tab, for the links to the previous and the next person. Signing out clears them.

import { call } from "./api.js";

const KEY = "results";
const NONE = { fragment: "", filter: {}, ids: [], cursor: null };

/** Return the fragment and the filter of the latest search, the ids found so far and the cursor of the next page. */
export const latestResults = () => JSON.parse(sessionStorage.getItem(KEY)) ?? NONE;

/** Store the results; without room in the storage, there are none. */
export function storeResults(results) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(results));
  } catch {
    sessionStorage.removeItem(KEY);
  }
}

/** Return the ids before and after a person, its position and the number of results; read another page at the end. */
export async function neighbours(id) {
  const results = latestResults();
  const at = results.ids.indexOf(id);
  if (at < 0) return null;
  while (at === results.ids.length - 1 && results.cursor) {
    const { people, next_cursor } = await call("POST", "/v1/people/search", { body: { ...results.filter, cursor: results.cursor }, retry: true });
    results.ids.push(...people.map(({ person_id }) => person_id));
    results.cursor = next_cursor;
    storeResults(results);
  }
  return { previous: results.ids[at - 1], next: results.ids[at + 1], position: at + 1, count: results.ids.length, isPartial: Boolean(results.cursor) };
}
