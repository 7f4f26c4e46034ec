import type { Explanation } from '../../generator/explain.js';
import { humanBytes } from '../../generator/human-bytes.js';
import { wrapText } from '../../generator/wrap-text.js';
import { grouped } from '../table.js';

/** Numbers with their formula, its inputs and what limits them, in so many columns. */
export function explanationLines(explanations: readonly Explanation[], columns: number): string[] {
  return explanations.flatMap((one) => [
    `${one.name} = ${shownValue(one)}`,
    ...paragraphs(one).flatMap((text) => hanging(text, columns)),
  ]);
}

function shownValue({ name, group, value }: Explanation): string {
  const isSize = name.endsWith('Bytes') || ['window', 'arena', 'handle'].includes(group);
  return isSize && value >= 1024 ? `${grouped(value)}, ${humanBytes(value)}` : grouped(value);
}

function paragraphs({ formula, inputs, boundBy, note, rules }: Explanation): string[] {
  const values = inputs.map(({ name, value }) => `${name} ${grouped(value)}`).join(', ');
  const limit = [boundBy && `bound by ${boundBy}`, note].filter(Boolean).join(': ');
  return [
    // A number that stands for itself follows from nothing, and one that is another has its value.
    ...(inputs.length > 0 ? [`= ${formula}`] : []),
    ...(inputs.length > 0 && inputs[0]?.name !== formula ? [`with ${values}`] : []),
    ...(limit ? [limit] : []),
    ...rules,
  ];
}

function hanging(text: string, columns: number): string[] {
  return wrapText(text, columns - 4).map((line, i) => (i === 0 ? `  ${line}` : `    ${line}`));
}
