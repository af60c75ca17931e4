// Tables of text (CSV): where a record ends, what its cells are, and how one is written.

const QUOTE = '"';

/** Return the cells of a record; null when it goes on in the next line, since a quote is open. A quote counts where a cell begins. */
export function cells(record, delimiter) {
  const found = [];
  let cell = "";
  let quoted = false;
  let before = delimiter; // what stands before: the delimiter, a quote that closes, or anything else
  for (const letter of record) {
    if (quoted) {
      if (letter === '"') [quoted, before] = [false, '"'];
      else cell += letter;
    } else if (letter === QUOTE && (before === delimiter || before === QUOTE)) {
      if (before === '"') cell += '"';
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

const quote = (cell) => (/[",;\t|\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
export const record = (cells, delimiter) => cells.map(quote).join(delimiter);

/** Yield the records of a file as { line, text, cells, read }; `read` is which part of the file has been read. Throws TypeError for wrong letters. */
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
