import type { Command } from 'commander';
import { specFields } from '../generator/spec-fields.js';
import { wrapText } from '../generator/wrap-text.js';

/** A flag that sets one field of a spec; `--set` reaches the others. */
interface SpecFlag {
  readonly flag: string;
  /** The name under which commander gives its value. */
  readonly option: string;
  /** The field, as in `--set path=value`. */
  readonly path: string;
}

const SPEC_FLAGS: readonly SpecFlag[] = [
  { flag: '--name <name>', option: 'name', path: 'name' },
  { flag: '--ranks <n>', option: 'ranks', path: 'ranks' },
  { flag: '--hidden <n>', option: 'hidden', path: 'hidden' },
  { flag: '--experts <n>', option: 'experts', path: 'experts' },
  { flag: '--topk <n>', option: 'topk', path: 'topk' },
  { flag: '--dtype <type>', option: 'dtype', path: 'dtype' },
  { flag: '--max-tokens <n>', option: 'maxTokens', path: 'ht.maxTokensPerRank' },
  { flag: '--channels <n>', option: 'channels', path: 'channels.memory.count' },
  { flag: '--live-results <n>', option: 'liveResults', path: 'ht.liveResults' },
];

export interface SpecFlagValues {
  readonly model?: string;
  readonly set?: readonly string[];
  readonly [option: string]: unknown;
}

/** One assignment that a flag or `--set` stands for. */
export interface Assignment {
  readonly flag: string;
  readonly path: string;
  readonly value: unknown;
}

export function addSpecOptions(command: Command): void {
  for (const { flag, path } of SPEC_FLAGS) command.option(flag, helpOf(path));
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
  return field.default ? `${field.description} (default: ${field.default})` : field.description;
}

/** The assignments given, in the order of the table, `--set` last. */
export function assignmentsOf(values: SpecFlagValues): Assignment[] {
  const assignments: Assignment[] = [];
  for (const { flag, option, path } of SPEC_FLAGS) {
    const text = values[option];
    if (text !== undefined) {
      assignments.push({ flag: flag.split(' ', 1)[0] ?? flag, path, value: flagValue(path, text) });
    }
  }
  for (const text of values.set ?? []) {
    const at = text.indexOf('=');
    const path = at < 0 ? text : text.slice(0, at);
    assignments.push({
      flag: '--set',
      path,
      value: at < 0 ? undefined : parseValue(text.slice(at + 1)),
    });
  }
  return assignments;
}

function flagValue(path: string, text: unknown): unknown {
  if (path === 'dtype') return text === 'fp8' ? 'fp8_e4m3' : text;
  return path === 'name' ? text : parseValue(String(text));
}

/** Numbers and booleans as themselves; anything else stays text, which the spec's own rules then judge. */
function parseValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return Number(text);
  return text;
}
