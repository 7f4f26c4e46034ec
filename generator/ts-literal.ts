const COLUMNS = 100;

/** An object's fields with a doc comment above some of them. */
export interface Documented {
  readonly entries: readonly DocumentedEntry[];
}

export interface DocumentedEntry {
  readonly key: string;
  readonly doc?: string;
  readonly value: unknown;
}

/** A value as TypeScript text: on one line where it fits and has no docs. `column` is where the text starts. */
export function tsLiteral(value: unknown, indent = 0, column = 0): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return String(value);
  const entries = isDocumented(value)
    ? value.entries
    : Object.entries(value).map(([key, entry]): DocumentedEntry => ({ key, value: entry }));
  const inline = isDocumented(value) ? undefined : inlineObject(entries);
  // The comma that follows takes a column too.
  if (inline !== undefined && column + inline.length < COLUMNS) return inline;

  const pad = ' '.repeat(indent + 2);
  const lines = entries.flatMap(({ key, doc, value: entry }) => {
    const head = `${pad}${key}: `;
    const line = `${head}${tsLiteral(entry, indent + 2, head.length)},`;
    return doc === undefined ? [line] : [`${pad}/** ${doc} */`, line];
  });
  return ['{', ...lines, `${' '.repeat(indent)}}`].join('\n');
}

function inlineObject(entries: readonly DocumentedEntry[]): string | undefined {
  if (
    entries.some(({ value }) => typeof value === 'object' && value !== null && isDocumented(value))
  )
    return undefined;
  const fields = entries.map(({ key, value }) => `${key}: ${inlineValue(value)}`);
  return `{ ${fields.join(', ')} }`;
}

function inlineValue(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return String(value);
  return inlineObject(Object.entries(value).map(([key, entry]) => ({ key, value: entry }))) ?? '';
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function isDocumented(value: object): value is Documented {
  return 'entries' in value && Array.isArray(value.entries);
}
