import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Hazard } from './hazard.js';
import { hazards } from './hazards.js';
import { passes, renderHazards, withTable } from './render.js';
import { readReport } from './report.js';

const root = join(import.meta.dirname, '../..');
const report = readReport();

describe('the table of hazards', () => {
  it('stands in the README of this folder as the report of the tests renders it', () => {
    const readme = readFileSync(join(import.meta.dirname, 'README.md'), 'utf8');
    expect(withTable(readme, renderHazards(hazards, report))).toBe(readme);
  });

  it.each(hazards)('$name: its tests are there and passed', (hazard) => {
    for (const [file] of hazard.tests) expect(existsSync(join(root, file))).toBe(true);
    expect(passes(hazard, report)).toBe(true);
  });

  it('claims nothing that a test has not shown', () => {
    const hazard: Hazard = { ...hazards[0]!, tried: 'all of it', tests: [['no.test.ts', 'x']] };
    expect(renderHazards([hazard], report)).toContain('| **not shown** |');
  });
});
