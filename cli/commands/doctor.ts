import type { Command } from 'commander';
import { execa } from 'execa';
import pc from 'picocolors';
import { EpgenToolError } from '../../generator/errors.js';
import {
  aptLine,
  aptPackages,
  findToolchain,
  missingTools,
  type Requirement,
  type Toolchain,
} from '../../generator/toolchain.js';
import { environmentWarnings } from '../environment.js';
import type { Context } from '../main.js';
import type { Output } from '../output.js';
import { tableLines } from '../table.js';

export function define(command: Command, { output, finish }: Context): void {
  command
    .option('--fix', 'install what is missing through apt, as root or with password-less sudo')
    .option('--json', 'print the result as one JSON record')
    .action(async ({ fix }: { readonly fix?: boolean }) => {
      let toolchain = await findToolchain();
      let missing = missingTools(toolchain);
      if (fix && missing.length > 0 && (await install(missing, output))) {
        toolchain = await findToolchain();
        missing = missingTools(toolchain);
      }
      report(toolchain, missing, output);
      finish(missing.length === 0 ? 'ok' : 'tools-missing');
    });
}

function report(toolchain: Toolchain, missing: readonly Requirement[], output: Output): void {
  const { requirements } = toolchain;
  const line = missing.length > 0 ? aptLine(missing) : undefined;
  const warnings = environmentWarnings(process.env);
  output.record({
    event: 'doctor',
    ok: missing.length === 0,
    node: process.version,
    requirements,
    install: line,
    warnings,
  });
  const rows = requirements.map((one) => [
    one.name,
    one.problem === undefined ? 'ok' : one.optional ? 'not used' : 'missing',
    one.version ?? '',
    one.problem ?? one.path ?? '',
  ]);
  const node = ['node', 'ok', process.versions.node, process.execPath];
  const columns = [{ title: 'tool' }, { title: '' }, { title: 'version' }, { title: 'found' }];
  for (const text of tableLines(columns, [node, ...rows])) output.line(text);
  for (const { variable, value, problem, fix } of warnings) {
    output.line();
    output.line(`${pc.yellow('warning')} ${variable} is ${value}: ${problem}.`);
    output.line(fix);
  }
  if (line) {
    output.line();
    output.line('To install what is missing on Debian or Ubuntu:');
    output.line(line);
  }
}

/** Installs the packages of `missing`; false when this process may not. */
async function install(missing: readonly Requirement[], output: Output): Promise<boolean> {
  const prefix = await privilege();
  if (prefix === undefined) return false;
  const packages = aptPackages(missing);
  output.line(`installing ${packages.join(' ')}`);
  await apt(prefix, ['update', '-q']);
  await apt(prefix, ['install', '-y', '-q', '--no-install-recommends', ...packages]);
  return true;
}

/** What to put before a command that needs root: nothing, sudo, or undefined where neither works. */
async function privilege(): Promise<readonly string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  const sudo = await execa('sudo', ['-n', 'true'], { reject: false });
  return sudo.failed ? undefined : ['sudo', '-n'];
}

async function apt(prefix: readonly string[], args: readonly string[]): Promise<void> {
  const words = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args];
  const [command = 'env', ...rest] = words;
  // apt's own progress belongs on stderr: stdout may be read by a machine.
  const result = await execa(command, rest, {
    stdout: process.stderr,
    stderr: 'inherit',
    reject: false,
  });
  if (result.failed) {
    throw new EpgenToolError(`${words.join(' ')} failed: ${result.shortMessage}`, {
      hint: 'Install the packages by hand, then run epgen doctor.',
    });
  }
}
