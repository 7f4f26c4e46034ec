/** Text of every file of one generated folder by its name, in the order of writing. */
export type FileSet = ReadonlyMap<string, string>;

/** @throws when two stages would write one file. */
export function fileSet(files: readonly (readonly [name: string, text: string])[]): FileSet {
  const set = new Map<string, string>();
  for (const [name, text] of files) {
    if (set.has(name))
      throw new Error(`Expected each file to be rendered once but ${name} came twice`);
    set.set(name, text);
  }
  return set;
}
