/** The whole statement that has a part on `line`, which counts from 1: what a place in a report stands for. */
export function statementAt(text: string, line: number): string {
  const lines = text.split('\n');
  const ends = (i: number) =>
    /[;{}]\s*(?:\/\/.*)?$/.test(lines[i] ?? ';') || lines[i]?.trim() === '';
  let first = line - 1;
  while (first > 0 && !ends(first - 1) && !isComment(lines[first - 1])) first -= 1;
  let last = line - 1;
  while (last < lines.length - 1 && !ends(last)) last += 1;
  return lines
    .slice(first, last + 1)
    .map((part) => part.trim())
    .join(' ');
}

function isComment(line = ''): boolean {
  return line.trim().startsWith('//');
}
