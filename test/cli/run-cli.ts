import { fileURLToPath } from 'node:url';
import { execa } from 'execa';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface CliResult {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the bundled command line as a person would, off a terminal. */
export async function runCli(
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env?: Record<string, string> },
): Promise<CliResult> {
  const result = await execa(process.execPath, [MAIN, ...args], {
    cwd,
    env: { NODE_EXTRA_CA_CERTS: undefined, ...env },
    reject: false,
  });
  return { code: result.exitCode, stdout: result.stdout, stderr: result.stderr };
}

/** The records of a `--json` run. */
export function records(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
