#!/usr/bin/env node
import { readFileSync, writeSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import {
  BAD_INPUT,
  exitCodeOf,
  OUTCOME_EXIT_CODES,
  type Outcome,
  RUN_TIME_FAILURE,
} from './exit-code.js';
import { createOutput, type Output } from './output.js';

/** A command file: adds its arguments and options, and runs when commander has parsed them. */
export interface CommandModule {
  define(command: Command, context: Context): void;
}

export interface Context {
  readonly output: Output;
  finish(outcome: Outcome): void;
  /** While `stop` is set, the first signal calls it, and the command ends by itself. */
  onInterrupt(stop: (() => void) | undefined): void;
}

const COMMANDS: readonly {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CommandModule>;
}[] = [
  {
    name: 'build',
    summary: 'generate a spec and compile it into an addon',
    load: () => import('./commands/build.js'),
  },
  {
    name: 'generate',
    summary: 'write the CUDA source and the TypeScript wrapper of a spec',
    load: () => import('./commands/generate.js'),
  },
  {
    name: 'check',
    summary: 'compare generated folders with what their specs render to',
    load: () => import('./commands/check.js'),
  },
  {
    name: 'inspect',
    summary: 'print the plan of a spec, its window, and what its options cost',
    load: () => import('./commands/inspect.js'),
  },
  {
    name: 'verify',
    summary: 'run the kernels of a spec in many orders, and look for races',
    load: () => import('./commands/verify.js'),
  },
  {
    name: 'bench',
    summary: 'time the operations of a built spec on GPUs',
    load: () => import('./commands/bench.js'),
  },
  {
    name: 'doctor',
    summary: 'look for the tools that a build needs, and install them with --fix',
    load: () => import('./commands/doctor.js'),
  },
];

/** As a shell reports them: 128 and the number of the signal. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

let interrupt: (() => void) | undefined;
let interruptCode: number | undefined;

async function main(argv: readonly string[]): Promise<number> {
  const output = createOutput({ json: argv.includes('--json') });
  let outcome: Outcome = 'ok';
  const context: Context = {
    output,
    finish: (value) => {
      outcome = value;
    },
    onInterrupt: (stop) => {
      interrupt = stop;
    },
  };
  try {
    const program = await createProgram(argv, context);
    await program.parseAsync(argv, { from: 'user' });
    return interruptCode ?? OUTCOME_EXIT_CODES[outcome];
  } catch (error) {
    // Commander has printed its own message; --help and --version end here with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : BAD_INPUT;
    output.error(error);
    return exitCodeOf(error);
  }
}

/** Only the command that runs is loaded: help must not wait for the others. */
async function createProgram(argv: readonly string[], context: Context): Promise<Command> {
  const program = new Command('epgen')
    .description('Expands a spec into CUDA kernels and a typed Node addon for expert parallelism.')
    .version(readVersion(), '-V, --version')
    .exitOverride()
    .showHelpAfterError('(epgen --help lists the commands and options)');
  const [first, second] = argv.filter((word) => !word.startsWith('-'));
  const chosen = first === 'help' ? second : first;
  for (const { name, summary, load } of COMMANDS) {
    const command = program
      .command(name)
      .summary(summary)
      .description(`${capital(summary)}.`);
    command.copyInheritedSettings(program);
    if (name === chosen) (await load()).define(command, context);
  }
  return program;
}

function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

for (const [signal, code] of Object.entries(SIGNAL_EXIT_CODES)) {
  process.on(signal, () => {
    if (interrupt === undefined || interruptCode !== undefined) process.exit(code);
    interruptCode = code;
    interrupt();
  });
}
let lostOutput = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader that closes early, such as `head`, is not a failure: the work goes on, and so does its exit code.
  if (error.code === 'EPIPE') return;
  if (!lostOutput) process.stderr.write(`error Cannot write to stdout: ${error.message}\n`);
  lostOutput = true;
  process.exitCode = RUN_TIME_FAILURE;
});
process.stderr.on('error', () => undefined);

let hasEnded = false;
let crashed = false;
// Node would end with 1, which means drift.
process.on('uncaughtExceptionMonitor', () => {
  hasEnded = true;
  crashed = true;
});
// A spec file runs in this process: a timer that it leaves behind must not end a command as if it had succeeded.
process.on('exit', (code) => {
  if (crashed) process.exitCode = RUN_TIME_FAILURE;
  if (hasEnded || Object.values<number>(SIGNAL_EXIT_CODES).includes(code)) return;
  writeSync(2, 'error The command ended before its work was done: something in a spec ended it\n');
  process.exitCode = BAD_INPUT;
});

const exitCode = await main(process.argv.slice(2));
hasEnded = true;
process.exitCode = lostOutput ? RUN_TIME_FAILURE : exitCode;
