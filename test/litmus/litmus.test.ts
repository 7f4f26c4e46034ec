// Compiles the litmus programs for the emulator, runs them in many schedules, and compares what was seen with the table.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';

const run = promisify(execFile);
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const folder = path('../.generated/litmus');
const program = `${folder}/litmus-cpu`;

/** What the program prints of one line of the table in one placement. */
interface Observation {
  readonly test: string;
  readonly placement: string;
  readonly ptx: 'forbidden' | 'allowed' | 'open';
  readonly model: 'shows' | 'never';
  readonly checker: 'race' | 'clean';
  readonly runs: number;
  /** How often the outcome was seen that the test asks about. */
  readonly asked: number;
  /** How often a register held what no program writes. */
  readonly garbage: number;
  readonly racingRuns: number;
  /** The first race. */
  readonly race: string;
  readonly fault: string;
  readonly histogram: Readonly<Record<string, number>>;
}

describe('litmus tests of the memory model', () => {
  let all: readonly Observation[] = [];

  const those = (holds: (it: Observation) => boolean) =>
    all
      .filter(holds)
      .map(
        (it) =>
          `${it.test} in ${it.placement}: ${JSON.stringify(it.histogram)} ${it.race || it.fault}`,
      );

  beforeAll(async () => {
    await run(path('build-cpu.sh'), [folder]);
    const { stdout } = await run(program, ['--seeds', '8'], { maxBuffer: 1 << 24 });
    all = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Observation);
  });

  test('every program ends in every placement', () => {
    expect(all.length).toBeGreaterThan(150);
    expect(those((it) => it.fault !== '')).toEqual([]);
  });

  test('no schedule shows an outcome that PTX forbids', () => {
    expect(those((it) => it.ptx === 'forbidden' && it.asked > 0)).toEqual([]);
    expect(those((it) => it.garbage > 0)).toEqual([]);
  });

  test('some schedule shows what the table says that the model shows', () => {
    expect(those((it) => it.model === 'shows' && it.asked === 0)).toEqual([]);
  });

  test('no schedule shows what the table says that the model never shows', () => {
    expect(those((it) => it.model === 'never' && it.asked > 0)).toEqual([]);
  });

  test('the checker finds races where the table says so, and nowhere else', () => {
    expect(those((it) => it.checker === 'clean' && it.racingRuns > 0)).toEqual([]);
    expect(those((it) => it.checker === 'race' && it.racingRuns === 0)).toEqual([]);
  });

  // The table is data (table.hpp) and is rendered into the README: `npx vitest run test/litmus -u` does it anew.
  test('the README shows the table', async () => {
    const { stdout } = await run(program, ['--table']);
    const readme = readFileSync(path('README.md'), 'utf8');
    const [before, after] = readme.split(/<!-- table -->.*<!-- end of table -->/s);
    const rendered = `${before}<!-- table -->\n\n${stdout}\n<!-- end of table -->${after}`;
    await expect(rendered).toMatchFileSnapshot(path('README.md'));
  });
});
