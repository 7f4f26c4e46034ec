// Prints what the packed tests and the benchmark need, as JSON. Runs while a folder is being packed.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Bench } from './bench-host.js';
import { collectedSpecs } from './built.js';
import { exclusionOf } from './excluded.js';
import { type AddonBackend, setHost } from './host.js';
import { declaredBy, runSuite } from './tree.js';

const [folder = '', name, ...files] = process.argv.slice(2);
const dir = resolve(folder);
const backend = name as AddonBackend;
setHost({ dir, mode: 'collect', backend, numDevices: 8, sharesDevices: false, ranks: undefined });

const load = (path: string) => import(pathToFileURL(join(dir, 'test', path)).href);
for (const file of files) {
  if (exclusionOf(file, backend) !== undefined) continue;
  const suite = await declaredBy(() => load(`${file}.js`));
  await runSuite(suite, { started: () => undefined, ended: () => undefined });
}
const benchPath = 'bench/packed.js';
const bench = existsSync(join(dir, 'test', benchPath))
  ? ((await load(benchPath)) as Bench)
  : undefined;
const needs = {
  specs: [...collectedSpecs(), ...(bench?.specs ?? []).map((input) => ({ input }))],
  extras: bench?.extras ?? [],
};
process.stdout.write(JSON.stringify(needs), () => process.exit(0));
