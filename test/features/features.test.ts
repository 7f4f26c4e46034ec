import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Feature } from './feature.js';
import { passes, renderTable, withTable } from './render.js';
import { readReport } from './report.js';
import { features } from './table.js';

const root = join(import.meta.dirname, '../..');
const report = readReport();

describe('the feature table', () => {
  it('stands in the README as the report of the tests renders it', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    expect(withTable(readme, renderTable(features, report))).toBe(readme);
  });

  it.each(features)('$name: its tests are there and passed', (feature) => {
    for (const [file] of feature.tests) expect(existsSync(join(root, file))).toBe(true);
    expect(passes(feature, report)).toBe(true);
  });

  it('claims nothing that a test has not shown', () => {
    const feature: Feature = { ...features[0]!, ours: 'all of it', tests: [['no.test.ts', 'x']] };
    expect(renderTable([feature], report)).toContain('| **not shown** |');
  });
});
