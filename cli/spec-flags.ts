import type { Command } from 'commander';
import { specFields } from '../generator/spec-fields.js';
import { SPEC_FLAGS } from '../generator/spec-flags.js';
import { wrapText } from '../generator/wrap-text.js';

export interface SpecFlagValues {
  readonly model?: string;
  readonly set?: readonly string[];
  readonly [option: string]: unknown;
}

/** One assignment that a flag or `--set` stands for. */
export interface Assignment {
  readonly flag: string;
  /** As it was typed, such as `--topk 4`. */
  readonly typed: string;
  readonly path: string;
  readonly value: unknown;
}

export function addSpecOptions(command: Command): void {
  for (const { flag, value, path } of SPEC_FLAGS) {
    command.option(`${flag} <${value}>`, helpOf(path));
  }
  command.option(
    '--model <preset>',
    'start from the published shape of a model, such as deepseek-v3',
  );
  command.option(
    '--set <path=value>',
    'set any field of the spec, such as channels.memory.stages=4 (repeatable)',
    (text: string, all: readonly string[] = []) => [...all, text],
  );
  const paths = specFields.map((field) => field.path).join(', ');
  const lines = wrapText(paths, 78).map((line) => `  ${line}`);
  command.addHelpText('after', `\nFields for --set:\n${lines.join('\n')}`);
}

function helpOf(path: string): string {
  const field = specFields.find((one) => one.path === path);
  if (!field) throw new Error(`Expected a spec field ${path} but found none`);
  const values = field.type.startsWith("'") ? [field.type.replaceAll("'", '')] : [];
  const remarks = [...values, ...(field.default ? [`default: ${field.default}`] : [])];
  return field.description + (remarks.length > 0 ? ` (${remarks.join('; ')})` : '');
}

/** The assignments given, in the order of the table, `--set` last. */
export function assignmentsOf(values: SpecFlagValues): Assignment[] {
  const assignments: Assignment[] = [];
  for (const { flag, path } of SPEC_FLAGS) {
    const text = values[optionName(flag)];
    if (text === undefined) continue;
    assignments.push({ flag, typed: `${flag} ${text}`, path, value: flagValue(path, text) });
  }
  for (const text of values.set ?? []) {
    const at = text.indexOf('=');
    const path = at < 0 ? text : text.slice(0, at);
    assignments.push({
      flag: '--set',
      typed: `--set ${text}`,
      path,
      value: at < 0 ? undefined : parseValue(text.slice(at + 1)),
    });
  }
  return assignments;
}

/** The name under which commander gives the value of a flag: `--max-tokens` → `maxTokens`. */
function optionName(flag: string): string {
  return flag.slice(2).replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function flagValue(path: string, text: unknown): unknown {
  if (path === 'dtype') return text === 'fp8' ? 'fp8_e4m3' : text;
  return path === 'name' ? text : parseValue(String(text));
}

/** Numbers, booleans and `{}` as themselves; anything else stays text, which the spec's own rules then judge. */
function parseValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === '{}') return {};
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return Number(text);
  return text;
}
