import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { specFields } from '../../generator/spec-fields.js';

test('specs/README.md has every field, with its default and description', () => {
  const table = [
    '| field | default | meaning |',
    '|---|---|---|',
    ...specFields.map(
      ({ path, default: value, description }) =>
        `| \`${path}\` | ${value === undefined ? '' : `\`${value}\``} | ${description.replaceAll('|', '\\|')} |`,
    ),
  ].join('\n');
  const readme = readFileSync(new URL('../../specs/README.md', import.meta.url), 'utf8');
  expect(readme.slice(readme.indexOf('| field'), readme.lastIndexOf('|') + 1)).toBe(table);
});
