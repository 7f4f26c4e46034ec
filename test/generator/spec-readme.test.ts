import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { specFields } from '../../generator/spec-fields.js';

const code = (text: string | undefined) =>
  text === undefined ? '' : `\`${text.replaceAll('|', '\\|')}\``;

test('specs/README.md has every field, with its type, default and description', () => {
  const table = [
    '| field | type | default | meaning |',
    '|---|---|---|---|',
    ...specFields.map(
      ({ path, type, default: value, description }) =>
        `| ${code(path)} | ${code(type)} | ${code(value)} | ${description.replaceAll('|', '\\|')} |`,
    ),
  ].join('\n');
  const readme = readFileSync(new URL('../../specs/README.md', import.meta.url), 'utf8');
  expect(readme.slice(readme.indexOf('| field'), readme.lastIndexOf('|') + 1)).toBe(table);
});
