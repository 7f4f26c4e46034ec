// What the wire gives for the bytes of one dispatch: measured by the probe, a program of its own (test/bench/probe),
// on the same devices, right before the operations.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EpgenToolError } from '../errors.js';

/** One way of moving the bytes. */
export interface WireRate {
  readonly way: 'copy engine' | 'stores' | 'loads';
  readonly us: number;
  readonly gbPerS: number;
}

export interface Wire {
  /** The fastest of each way. */
  readonly rates: readonly WireRate[];
  /** What the probe wrote, with all samples. */
  readonly probe: unknown;
}

interface ProbeTest {
  readonly test: string;
  readonly medianUs: number;
  readonly gbPerS: number;
}

const WAYS: readonly [WireRate['way'], readonly string[]][] = [
  ['copy engine', ['copy-engine', 'copy-engine-in-turn']],
  ['stores', ['fan', 'fan-singly', 'push']],
  ['loads', ['pull']],
];
const TIMEOUT_MS = 60_000;

export interface WireInput {
  /** The compiled probe. */
  readonly program: string;
  readonly numDevices: number;
  readonly numTokens: number;
  readonly rowBytes: number;
}

/** Runs the probe. Throws {@link EpgenToolError} when it fails. */
export function measureWire({ program, numDevices, numTokens, rowBytes }: WireInput): Wire {
  const folder = mkdtempSync(join(tmpdir(), 'epgen-wire-'));
  try {
    const out = join(folder, 'probe.json');
    const flags = { gpus: numDevices, tokens: numTokens, wire: rowBytes, samples: 9, out };
    const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: TIMEOUT_MS });
    const probe = JSON.parse(readFileSync(out, 'utf8')) as { readonly tests: readonly ProbeTest[] };
    return { rates: WAYS.flatMap(([way, tests]) => fastest(way, tests, probe.tests)), probe };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new EpgenToolError(`Expected ${program} to measure the wire, but it failed: ${reason}`, {
      hint: 'Build it where nvcc is: test/bench/probe/build.sh <output>. Without --probe no limit is measured.',
      cause: error,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function fastest(
  way: WireRate['way'],
  names: readonly string[],
  tests: readonly ProbeTest[],
): WireRate[] {
  const [best] = tests
    .filter(({ test }) => names.includes(test))
    .sort((a, b) => b.gbPerS - a.gbPerS);
  return best === undefined ? [] : [{ way, us: best.medianUs, gbPerS: best.gbPerS }];
}
