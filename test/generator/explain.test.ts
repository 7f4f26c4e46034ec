import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Explanation, explainPlan } from '../../generator/explain.js';
import { type Plan, planFromSpec } from '../../generator/plan.js';
import { roundUp } from '../../generator/round.js';
import { parseSpec, type SpecInput } from '../../generator/spec.js';
import { windowRegions } from '../../generator/window.js';
import { specs } from '../support/any-spec.js';

const explain = (input: SpecInput) => {
  const spec = parseSpec(input, 'test');
  return explainPlan({ spec, plan: planFromSpec(spec) });
};

const explainNumber = (input: SpecInput, name: string): Explanation => {
  const found = explain(input).find((one) => one.name === name);
  if (!found) throw new Error(`Expected an explanation of ${name} but found none`);
  return found;
};

const EVERY_OPTION: SpecInput = {
  ranks: 4,
  hidden: 2880,
  experts: 12,
  topk: 3,
  dtype: 'fp8_e4m3',
  scaleBlock: 96,
  scaleLayout: 'column',
  extraBytes: 20,
  combineDtype: 'f32',
  topkIdx: 'i32',
  ht: {
    maxTokensPerRank: 77,
    credit: true,
    withoutTopk: true,
    cached: true,
    worstTokens: true,
    combineWeights: true,
    biases: 2,
    expertMajor: true,
    readyCounters: true,
  },
};

describe('explainPlan', () => {
  it.each<[name: string, input: SpecInput]>([
    ['the default', { ranks: 8, hidden: 7168 }],
    ['every option', EVERY_OPTION],
    ['low-latency calls beside the others', { ranks: 8, hidden: 7168, ll: {} }],
    ['low-latency calls alone', { ranks: 8, hidden: 7168, ht: false, ll: {} }],
  ])('explains every number of the plan: %s', (_, input) => {
    const plan = planFromSpec(parseSpec(input, 'test'));
    const explained = explain(input).map(({ name }) => name);
    expect(explained).toEqual(expect.arrayContaining(numbersOf(plan)));
    expect(new Set(explained).size).toBe(explained.length);
  });

  it('explains every region of the window', () => {
    const plan = planFromSpec(parseSpec(EVERY_OPTION, 'test'));
    const regions = windowRegions(plan).map(({ name }) => `window.${name}`);
    const explained = explain(EVERY_OPTION).map(({ name }) => name);
    expect(explained.filter((name) => name.startsWith('window.'))).toEqual(regions);
  });

  it('gives formulas that make the plan, and limits that make a difference', () => {
    fc.assert(
      fc.property(specs, (spec) => {
        const plan = planFromSpec(spec);
        for (const explanation of explainPlan({ spec, plan })) {
          expectToFollow(explanation);
          if (!explanation.name.match(/^(window|arena|handle)\./)) {
            expect(explanation.value, explanation.name).toBe(valueIn(plan, explanation.name));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each<[name: string, input: SpecInput, number: string, boundBy: string | undefined]>([
    ['bytes under way', { ranks: 8, hidden: 7168 }, 'dispatch.numStages', 'AUTO_IN_FLIGHT_BYTES'],
    ['the deepest ring', { ranks: 2, hidden: 64 }, 'combine.numStages', 'MAX_AUTO_STAGES'],
    [
      'shared memory',
      { ranks: 2, hidden: 8192, channels: { memory: { inFlightBytes: 10 ** 9 } } },
      'combine.numStages',
      'stagesThatFit',
    ],
    [
      'what dispatch needs',
      { ranks: 2, hidden: 16384, channels: { memory: { pieceBytes: 32768 } } },
      'dispatch.numStages',
      'MIN_DISPATCH_STAGES',
    ],
    [
      'the ranks',
      { ranks: 6, hidden: 16384, channels: { memory: { pieceBytes: 32768 } } },
      'combine.numStages',
      'numRanks',
    ],
    [
      'nothing where stages are asked for',
      { ranks: 2, hidden: 64, channels: { memory: { stages: 4 } } },
      'dispatch.numStages',
      undefined,
    ],
    ['a row', { ranks: 2, hidden: 64 }, 'dispatch.pieceBytes', 'rowBytes'],
    [
      'the largest piece',
      { ranks: 2, hidden: 7168 },
      'dispatch.pieceBytes',
      'MAX_AUTO_PIECE_BYTES',
    ],
    [
      'a piece as asked',
      { ranks: 2, hidden: 7168, channels: { memory: { pieceBytes: 2048 } } },
      'dispatch.pieceBytes',
      'spec.channels.memory.pieceBytes',
    ],
    ['the most warps', { ranks: 2, hidden: 7168 }, 'combine.vectorsPerThread', 'MAX_REDUCE_WARPS'],
    ['one vector', { ranks: 2, hidden: 64 }, 'combine.vectorsPerThread', undefined],
  ])('knows the limit: %s', (_, input, name, boundBy) => {
    expect(explainNumber(input, name).boundBy).toBe(boundBy);
  });

  it('tells what credit saves', () => {
    const base = { ranks: 2, hidden: 64 };
    expect(explainNumber(base, 'numRecvBuffers')).toMatchObject({
      value: 3,
      formula: 'liveResults + 1',
      inputs: [{ name: 'liveResults', value: 2 }],
    });
    expect(explainNumber({ ...base, ht: { credit: true } }, 'numRecvBuffers')).toMatchObject({
      value: 2,
      formula: 'liveResults',
      note: expect.stringContaining('spec.ht.credit'),
    });
  });

  it('names the rules that a number obeys', () => {
    expect(explainNumber({ ranks: 2, hidden: 64 }, 'dispatch.sharedBytes').rules).toEqual([
      'dispatch.sharedBytes must be at most sharedBytesLimit: a block can have no more',
    ]);
  });
});

function numbersOf(value: object, prefix = ''): string[] {
  return Object.entries(value).flatMap(([key, entry]): string[] => {
    if (typeof entry === 'number') return [prefix + key];
    const isGroup = typeof entry === 'object' && entry !== null && !Array.isArray(entry);
    return isGroup ? numbersOf(entry, `${prefix}${key}.`) : [];
  });
}

function valueIn(plan: Plan, name: string): unknown {
  return name.split('.').reduce<unknown>((owner, key) => (owner as never)[key], plan);
}

function expectToFollow({ name, value, formula, inputs, boundBy }: Explanation): void {
  const values = Object.fromEntries(inputs.map((input) => [input.name, input.value]));
  expect(evaluate(formula, values), `${name} = ${formula}`).toBe(value);
  if (boundBy === undefined) return;
  const limit = values[boundBy] as number;
  expect(limit, `${name} is bound by ${boundBy}`).toBeTypeOf('number');
  const moved = [limit * 2, limit / 2].map((to) => evaluate(formula, { ...values, [boundBy]: to }));
  expect(
    moved.some((one) => one !== value),
    `${name} = ${formula} moves with ${boundBy}`,
  ).toBe(true);
}

/** The value of a formula as its reader would work it out. */
function evaluate(formula: string, values: Readonly<Record<string, number>>): number {
  const scope = {
    ...Object.fromEntries(['min', 'max', 'ceil', 'floor', 'log2'].map(fromMath)),
    roundUp,
  };
  const text = formula
    .replace(/[A-Za-z_][\w.]*/g, (name) => (name in scope ? name : `values['${name}']`))
    .replaceAll('×', '*');
  return new Function('values', ...Object.keys(scope), `return ${text}`)(
    values,
    ...Object.values(scope),
  );
}

function fromMath(name: string): [string, unknown] {
  return [name, Math[name as 'min']];
}
