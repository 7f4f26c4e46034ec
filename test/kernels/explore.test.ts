// The smallest kernels in every order of their operations on shared words.
import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Exploration } from '../../cli/verify/run-exploration.js';
import type { FindingEvent, Progress } from '../../cli/verify/run-verifier.js';
import { buildVerifier } from '../../generator/build-verifier.js';
import { type FileSet, fileSet } from '../../generator/file-set.js';
import { generate } from '../../generator/generate.js';
import { parseSpec } from '../../generator/spec.js';

const isLong = Number(process.env.EPGEN_TEST_SCALE ?? 1) > 1;

type Line = Progress | FindingEvent | Exploration;

/** As small as kernels get. */
function tiny(channels: number) {
  return parseSpec(
    {
      name: `tiny_${channels}`,
      ranks: 2,
      hidden: 8,
      experts: 2,
      topk: 1,
      ht: { maxTokensPerRank: 4 },
      channels: { memory: { count: channels } },
    },
    'explore.test.ts',
  );
}

async function explore(
  channels: number,
  args: readonly string[],
  change = (files: FileSet) => files,
): Promise<{ readonly exploration: Exploration; readonly messages: readonly string[] }> {
  const spec = tiny(channels);
  const { path } = await buildVerifier({ spec, files: change(generate(spec)) });
  const { stdout } = await execa(path, ['--explore', '--max-tokens', '2', ...args], {
    reject: false,
  });
  const lines = stdout.split('\n').map((line) => JSON.parse(line) as Line);
  const exploration = lines.at(-1) as Exploration;
  const { sequences, classes, executions, finished } = exploration;
  process.stdout.write(
    `exploration, ${channels} channels, ${sequences} sequences: ${classes} classes, ${executions} executions, ` +
      `${finished ? 'finished' : 'not finished'}\n`,
  );
  return {
    exploration,
    messages: lines.flatMap((line) => (line.type === 'finding' ? [line.message] : [])),
  };
}

/** The text with a change that must be possible. */
function replaced(files: FileSet, file: string, from: string, to: string): FileSet {
  expect(files.get(file)).toContain(from);
  return fileSet(
    [...files].map(([name, text]) => [name, name === file ? text.replaceAll(from, to) : text]),
  );
}

beforeAll(async () => {
  for (const channels of [1, 2])
    await buildVerifier({ spec: tiny(channels), files: generate(tiny(channels)) });
});

describe('every order of the smallest kernels', () => {
  test('with one channel all orders are equivalent to one', async () => {
    const { exploration } = await explore(1, ['--seeds', '1:101', '--calls', '4']);
    expect(exploration).toMatchObject({
      sequences: 100,
      classes: 100,
      finished: true,
      findings: 0,
    });
  });

  test('two channels', async () => {
    const { exploration } = await explore(2, ['--seeds', isLong ? '1:101' : '1:5', '--calls', '2']);
    expect(exploration).toMatchObject({ finished: true, findings: 0 });
    expect(exploration.classes).toBeGreaterThan(exploration.sequences);
    expect(exploration.executions).toBe(exploration.classes);
  });

  test('a limit ends it early, and it says so', async () => {
    const { exploration } = await explore(2, [
      '--seeds',
      '1:3',
      '--calls',
      '2',
      '--max-classes',
      '1',
    ]);
    expect(exploration.finished).toBe(false);
  });
});

describe('what exploration finds', () => {
  test.each<[string, number, string, string, string, RegExp]>([
    [
      'ready words without parity',
      1,
      'combine.cu',
      '(call.epoch & 1) * kNumRanks',
      '0 * kNumRanks',
      /deadlock.* combine ready of peer/s,
    ],
    [
      'one arrival of a source fewer awaited',
      2,
      'dispatch.cu',
      'AtLeast{call.epoch * kNumChannels}',
      'AtLeast{call.epoch * kNumChannels - 1}',
      /./,
    ],
    ['rows announced before they are there', 1, 'dispatch.cu', 'bulk_wait_group<0>();', '', /./],
  ])('%s', async (_, channels, file, from, to, message) => {
    const args = ['--seeds', '1:21', '--calls', '4', '--stop-after', '1'];
    const mutated = await explore(channels, args, (files) => replaced(files, file, from, to));
    expect(mutated.exploration.findings).toBeGreaterThan(0);
    expect(mutated.messages[0]).toMatch(message);
  });
});
