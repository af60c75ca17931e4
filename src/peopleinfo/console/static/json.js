// JSON that preserves the text of numbers: 1.50 stays 1.50, and a number of 20 digits is not rounded.

export const isNumber = (value) => JSON.isRawJSON(value);
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value) && !isNumber(value);

export const parse = (text) =>
  JSON.parse(text, (_, value, { source }) => (typeof value === "number" ? JSON.rawJSON(source) : value));

export const write = (value, indent) => JSON.stringify(value, null, indent);

/** Return the number of a JSON value, whose text the parser preserves. */
export const toNumber = (value) => Number(write(value));

const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => [name, sorted(inner)]);
};

/** Return whether two values are equal; the order of fields does not matter. */
export const same = (a, b) => a === b || (isObject(a) === isObject(b) && write([sorted(a)]) === write([sorted(b)]));

/**
 * Return the JSON Merge Patch (RFC 7396) from `before` to `after`, or undefined if none exists: a patch cannot set a field to null,
 * because null removes the field.
 */
export function patchFor(before, after) {
  const patch = [];
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) patch.push([name, null]);
  for (const [name, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, name) ? before[name] : undefined;
    if (old !== undefined && same(old, value)) continue;
    const change = isObject(value) ? patchFor(isObject(old) ? old : {}, value) : (value ?? undefined);
    if (change === undefined) return undefined;
    patch.push([name, change]);
  }
  return Object.fromEntries(patch);
}
