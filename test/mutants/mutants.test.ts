import { describe, expect, test } from 'vitest';
import { markedEdits, plant, withoutMarks } from './plant.js';
import { type Rule, rules, shippedBugs } from './rules.js';
import { statementAt } from './statement.js';
import { mutants } from './table/index.js';
import { buildMutant, runMutant, specOf } from './try-mutant.js';

describe('the table of mutants', () => {
  test('has at least 30, each with a name of its own', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(30);
    expect(new Set(mutants.map(({ id }) => id)).size).toBe(mutants.length);
  });

  test('breaks every rule, or says why not', () => {
    const broken = new Set<Rule>(mutants.map(({ rule }) => rule));
    for (const [number, { leftOut }] of Object.entries(rules)) {
      expect([number, broken.has(Number(number))]).toEqual([number, leftOut === undefined]);
    }
    expect(Object.keys(shippedBugs).filter((bug) => !broken.has(bug as Rule))).toEqual([]);
  });

  test.each(mutants.map((mutant) => [mutant.id, mutant] as const))(
    '%s changes what is compiled, and marks it',
    (_, mutant) => {
      const { edits, given = [] } = mutant;
      const parsed = specOf(mutant);
      const planted = withoutMarks(plant(parsed, [...edits, ...given]));
      expect(planted).not.toBe(withoutMarks(plant(parsed, given)));
      expect(planted).not.toMatch(/planted/i);
      expect(markedEdits(edits)).not.toEqual([]);
    },
  );
});

test('statements are found by any of their lines', () => {
  const text = [
    'if (ok) {',
    '    // why',
    '    send(a,',
    '         b);',
    '    sum += ld(x);  // note',
    '}',
  ].join('\n');
  expect(statementAt(text, 3)).toBe('send(a, b);');
  expect(statementAt(text, 4)).toBe('send(a, b);');
  expect(statementAt(text, 5)).toBe('sum += ld(x);  // note');
});

test.each([
  'no-fence-before-pull',
  'vote-before-free-combine',
  'ready-without-parity',
  'no-row-of-zeros',
])('%s is found', async (id) => {
  const mutant = mutants.find((one) => one.id === id)!;
  const { verdict, problem } = await runMutant(await buildMutant(mutant));
  expect([verdict, problem]).toEqual(['killed', undefined]);
});
