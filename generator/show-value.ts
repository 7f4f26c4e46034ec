/** A received value as a message shows it: short, and strings in quotes. */
export function showValue(value: unknown): string {
  if (typeof value === 'string') return shorten(`'${value}'`);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'object' && value !== null) return shorten(JSON.stringify(value));
  return String(value);
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
