// CSV: splits a file into records and cells, and writes records.

const QUOTE = '"';

/** Return the cells of a record, or null if an open quote continues it on the next line. A quote opens only at the start of a cell. */
export function cells(record, delimiter) {
  const found = [];
  let cell = "";
  let quoted = false;
  let before = delimiter; // the previous character: a delimiter, a closing quote or other text
  for (const letter of record) {
    if (quoted) {
      if (letter === QUOTE) [quoted, before] = [false, QUOTE];
      else cell += letter;
    } else if (letter === QUOTE && (before === delimiter || before === QUOTE)) {
      if (before === QUOTE) cell += QUOTE;
      quoted = true;
    } else if (letter === delimiter) {
      found.push(cell);
      [cell, before] = ["", delimiter];
    } else {
      cell += letter;
      before = "";
    }
  }
  return quoted ? null : [...found, cell];
}

export const delimiterOf = (line) => [...",;\t|"].reduce((best, mark) => (line.split(mark).length > line.split(best).length ? mark : best));

const SPECIAL = /[",;\t|\r\n]/;
const quote = (cell) => (SPECIAL.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
export const record = (cells, delimiter) => cells.map(quote).join(delimiter);

/** Yield the records of a file as { line, cells, delimiter, read }; `read` is the fraction of the file that was read. Throws TypeError for another encoding. */
export async function* records(file, encoding) {
  const decoder = new TextDecoder(encoding, { fatal: true });
  let [rest, open, line, first, size, delimiter] = ["", "", 0, 1, 0, null];
  const take = (text) => {
    line++;
    if (!open) first = line;
    open = open ? `${open}\n${text}` : text;
    delimiter ??= delimiterOf(text);
    const found = cells(open.replace(/\r$/, ""), delimiter) ?? (open.length > 1e6 ? [open] : null);
    if (!found) return null;
    const row = { line: first, cells: found, delimiter, read: size / file.size };
    open = "";
    return found.some(Boolean) ? row : null;
  };
  for await (const chunk of file.stream()) {
    size += chunk.length;
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop();
    for (const text of lines) {
      const row = take(text);
      if (row) yield row;
    }
  }
  const row = take(rest + decoder.decode());
  if (row) yield row;
}
