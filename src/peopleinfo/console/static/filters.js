// The filters of a search in the fragment of the address, which browsers do not send: a search can be saved and shared.

/** Return the fragment of the given form values, or "" without values. */
export const toFragment = (values) => (values.length ? `#${new URLSearchParams(values)}` : "");

/** Return the form values of the address, or null if it has none. Throws an error with a message for unknown or repeated filters. */
export function fromAddress({ search, hash }, form) {
  if (search) throw invalid("The address contains filters after “?”, which the server would receive. Enter them here.");
  if (!hash.includes("=")) return null;
  const values = [...new URLSearchParams(hash.slice(1))];
  for (const [at, [name, value]] of values.entries()) {
    if (form.elements[name]?.name !== name) throw invalid(`The address contains an unknown filter: ${name}.`);
    if (name === "sort" && ![...form.elements.sort.options].some((option) => option.value === value)) throw invalid(`The address contains an unknown order: ${value}.`);
    if (values.findIndex(([other]) => other === name) < at) throw invalid(`The address contains a filter twice: ${name}.`);
  }
  return values;
}

const invalid = (message) => ({ status: 422, errors: [], message });
