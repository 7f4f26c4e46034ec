import { inspect } from 'node:util';
import pc from 'picocolors';

/** Where a command prints: text for people, or JSON lines for machines, never both on stdout. */
export interface Output {
  readonly json: boolean;
  /** True when the text goes to a terminal that can redraw lines. */
  readonly live: boolean;
  /** A line for people; nothing with --json. */
  line(text?: string): void;
  /** A record for machines, one line of JSON; nothing without --json. */
  record(value: object): void;
  error(error: unknown): void;
}

export function createOutput({ json }: { readonly json: boolean }): Output {
  return {
    json,
    live: !json && process.stdout.isTTY === true && process.env.TERM !== 'dumb' && !process.env.CI,
    line: (text = '') => {
      if (!json) process.stdout.write(`${text}\n`);
    },
    record: (value) => {
      if (json) process.stdout.write(`${JSON.stringify(value, jsonValue)}\n`);
    },
    error: (error) => {
      const { code, message, hint } = describeError(error);
      if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`);
      process.stderr.write(`${pc.red('error')} ${message}\n`);
      if (hint) process.stderr.write(`${pc.cyan('hint')}  ${hint}\n`);
    },
  };
}

function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

interface ErrorText {
  readonly code?: string;
  readonly message: string;
  readonly hint?: string;
}

/** An error of ours is its message; any other is a defect, so its stack is shown. */
function describeError(error: unknown): ErrorText {
  if (!(error instanceof Error)) return { message: inspect(error) };
  const { code, hint } = error as { code?: unknown; hint?: string };
  if (typeof code === 'string' && code.startsWith('EPGEN_')) {
    return { code, message: error.message, ...(hint === undefined ? {} : { hint }) };
  }
  return { message: error.stack ?? error.message };
}
