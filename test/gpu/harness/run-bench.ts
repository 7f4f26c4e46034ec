// ./run-bench [--out DIR] [arguments of the benchmark] in a packed folder.
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Bench } from './bench-host.js';
import { buildSpec } from './built.js';
import { setHost } from './host.js';
import { packedHost } from './packed-host.js';

const packed = packedHost(resolve(import.meta.dirname, '../../..'));
const argv = process.argv.slice(2);
const at = argv.indexOf('--out');
const [, dir = 'results'] = at < 0 ? ['', process.env.OUT ?? 'results'] : argv.splice(at, 2);
const out = resolve(dir);

const path = join(packed.dir, 'test/bench/packed.js');
if (!existsSync(path)) throw new Error('this folder was packed without a benchmark');
const { numDevices, manifest, reason } = packed;
if (manifest.backend === 'cuda' && numDevices === 0) throw new Error(`no GPU: ${reason}`);
setHost({
  dir: packed.dir,
  mode: 'run',
  backend: manifest.backend,
  numDevices,
  sharesDevices: false,
  ranks: undefined,
});
mkdirSync(out, { recursive: true });
const { main } = (await import(pathToFileURL(path).href)) as Bench;
await main({ ...packed, out, buildSpec: (input) => buildSpec(input) }, argv);
process.exit();
