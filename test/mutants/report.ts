import { type Column, tableLines } from '../../cli/table.js';
import type { FindingPlace } from '../../cli/verify/run-verifier.js';
import type { Expected } from './mutant.js';
import { rules, shippedBugs } from './rules.js';
import type { Outcome, Verdict } from './try-mutant.js';

const COLUMNS: readonly Column[] = [
  { title: 'mutant' },
  { title: 'rule', align: 'right' },
  { title: 'expected' },
  { title: 'found by' },
  { title: 'seed', align: 'right' },
  { title: 'schedules', align: 'right' },
  { title: 'verdict' },
];

/** One line per mutant, and what each verdict counts. */
export function reportLines(outcomes: readonly Outcome[]): string[] {
  const rows = outcomes.map(({ mutant, foundBy, seed, schedules, verdict }) => [
    mutant.id,
    String(mutant.rule),
    nameOf(mutant.expected),
    foundText(foundBy, mutant.expected),
    seed === undefined ? '-' : String(seed),
    schedules,
    verdict,
  ]);
  const bad = outcomes.filter(isBad).flatMap(problemLines);
  return [...tableLines(COLUMNS, rows), ...bad, '', countLine(outcomes)];
}

export function isBad({ verdict }: Outcome): boolean {
  return verdict === 'SURVIVOR' || verdict === 'FAILED';
}

/** The expected detector first, and how many others found something. */
function foundText(foundBy: readonly string[], expected: Expected): string {
  const name = nameOf(expected);
  const [first = '-', ...others] = [...foundBy].sort((a, b) => +(b === name) - +(a === name));
  return others.length === 0 ? first : `${first} +${others.length}`;
}

function nameOf(expected: Expected): string {
  return 'equivalent' in expected ? 'nobody' : expected.detector;
}

function countLine(outcomes: readonly Outcome[]): string {
  const verdicts: readonly Verdict[] = ['killed', 'equivalent', 'SURVIVOR', 'FAILED'];
  const counts = verdicts.map((verdict) => {
    const count = outcomes.filter((outcome) => outcome.verdict === verdict).length;
    return `${count} ${verdict === 'SURVIVOR' ? 'survive' : verdict.toLowerCase()}`;
  });
  return `${outcomes.length} mutants: ${counts.join(', ')}`;
}

/** Why a mutant is not killed, and what was found instead. */
function problemLines({ mutant, verdict, problem, others, finding }: Outcome): string[] {
  const rule =
    typeof mutant.rule === 'number' ? rules[mutant.rule]?.text : shippedBugs[mutant.rule];
  return [
    '',
    `${mutant.id}: ${problem ?? (verdict === 'SURVIVOR' ? 'nobody finds it' : verdict)}`,
    `  plants: ${mutant.plants}`,
    `  rule:   ${rule}`,
    ...('between' in mutant.expected ? [`  wanted: ${mutant.expected.between.join('  |  ')}`] : []),
    ...(finding ? [`  found:  ${finding.message}`] : []),
    ...others
      .slice(0, 8)
      .map((other) => `  other:  ${other.detector}: ${other.message} ${placesText(other.places)}`),
  ];
}

function placesText(places: readonly FindingPlace[]): string {
  return places.length === 0
    ? ''
    : `[${places.map(({ file, line, what }) => (line ? `${file}:${line}` : what)).join(', ')}]`;
}
