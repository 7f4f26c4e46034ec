import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding, FindingPlace } from '../../cli/verify/run-verifier.js';
import { packageRoot } from '../../generator/paths.js';
import type { Expected } from './mutant.js';
import type { Planted } from './plant.js';
import { statementAt } from './statement.js';

/** Whether a finding is what the table expects, at the places that it names. */
export function isExpected(finding: Finding, expected: Expected, planted: Planted): boolean {
  if ('equivalent' in expected || finding.detector !== expected.detector) return false;
  switch (expected.detector) {
    case 'race':
    case 'raw': {
      const [first, second] = finding.places.map((place) => textOf(place, planted));
      const [a, b] = expected.between;
      if (first === undefined || second === undefined) return false;
      return (first.includes(a) && second.includes(b)) || (first.includes(b) && second.includes(a));
    }
    case 'fault':
      return finding.places.some((place) => textOf(place, planted).includes(expected.at));
    case 'data':
    case 'timeout':
      return true;
  }
}

/** The statement at a place; of what has no line, such as a task of a stream, who did it. */
function textOf(place: FindingPlace, { files, overlay }: Planted): string {
  if (place.line === 0 || place.file === '') return `${place.agent} ${place.what} ${place.object}`;
  const text =
    files.get(place.file) ??
    overlay.get(place.file) ??
    readFileSync(join(packageRoot(), 'native', place.file), 'utf8');
  return statementAt(text.replaceAll(/planted_\d+\(\)[,;] ?/g, ''), place.line);
}
