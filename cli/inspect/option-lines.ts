import { DTYPES, type Dtype } from '../../generator/dtype.js';
import { humanBytes } from '../../generator/human-bytes.js';
import type { OptionCost } from '../../generator/option-costs.js';
import { showValue } from '../../generator/show-value.js';
import { specFields } from '../../generator/spec-fields.js';
import { tableLines } from '../table.js';

/** A table of what options add, a line for each file that one adds; nothing without options. */
export function optionLines(costs: readonly OptionCost[]): string[] {
  if (costs.length === 0) return [];
  const right = { align: 'right' as const };
  const columns = [
    { title: 'option' },
    { title: 'window', ...right },
    { title: 'arena', ...right },
    { title: 'handle', ...right },
    { title: 'kernels' },
  ];
  const rows = costs.flatMap((cost) => {
    const [first = '', ...others] = cost.files.map((file) => file.replace(/\.cu$/, ''));
    const bytes = [cost.windowBytes, cost.arenaBytes, cost.handleBytes].map(signedBytes);
    return [[nameOf(cost), ...bytes, first], ...others.map((file) => ['', '', '', '', file])];
  });
  return tableLines(columns, rows);
}

function nameOf({ field, value, without }: OptionCost): string {
  // Names of `ht` and `ll` may be equal; those of channels are short of room.
  const name = field.replace(/^channels\.memory\./, '');
  if (value === true || typeof value === 'object') return name;
  const setting = `${name}=${shown(value)}`;
  return isDefault(field, without) ? setting : `${setting}, not ${shown(without)}`;
}

function isDefault(field: string, value: unknown): boolean {
  return specFields.find(({ path }) => path === field)?.default === showValue(value);
}

function shown(value: unknown): string {
  return DTYPES[value as Dtype]?.shortName ?? String(value);
}

function signedBytes(bytes: number): string {
  return bytes < 0 ? `-${humanBytes(-bytes)}` : bytes === 0 ? '0' : humanBytes(bytes);
}
