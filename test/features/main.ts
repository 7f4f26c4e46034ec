// Writes the feature table into the README and the hazards into this folder's, from the newest report of the tests.
import { readFile, writeFile } from 'node:fs/promises';
import { hazards } from './hazards.js';
import { renderHazards, renderTable, withTable } from './render.js';
import { readReport } from './report.js';
import { features } from './table.js';

const report = readReport();
await update('README.md', renderTable(features, report));
await update('test/features/README.md', renderHazards(hazards, report));

async function update(path: string, table: string): Promise<void> {
  await writeFile(path, withTable(await readFile(path, 'utf8'), table));
}
