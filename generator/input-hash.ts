import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { TreeTarget } from './build-target.js';
import type { FileSet } from './file-set.js';
import { packageRoot } from './paths.js';
import { type Spec, specHash } from './spec.js';

/** Everything that an addon or a verifier is made from. */
export interface BuildInputs {
  readonly target: TreeTarget;
  readonly spec: Spec;
  /** The generated text. */
  readonly texts: FileSet;
  /** As compilerIdentity tells it. */
  readonly compiler: string;
}

/** Hash of the generated text, the native sources, the compiler and the options. */
export async function hashInputs({ target, spec, texts, compiler }: BuildInputs): Promise<string> {
  const require = createRequire(join(packageRoot(), 'package.json'));
  const api = require('node-addon-api/package.json') as { version: string };
  const hash = createHash('sha256');
  hash.update(JSON.stringify([target, process.arch, compiler, api.version]));
  hash.update(specHash(spec));
  const native = join(packageRoot(), 'native');
  const names = (await readdir(native, { recursive: true }))
    .filter((name) => isSource(name) && !OTHER_BACKEND[target.backend].test(name))
    .sort();
  const contents = await Promise.all(names.map((name) => readFile(join(native, name))));
  const sources = [...texts]
    .filter(([name]) => isSource(name))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const all = [...names.map((name, i) => [name, contents[i] ?? ''] as const), ...sources];
  for (const [name, content] of all) {
    hash.update(`${name}\n${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

/** Whether a compiler or CMake reads files of this name. */
export function isSource(name: string): boolean {
  return /\.(?:cuh?|[ch]pp|h|map|cmake|sh)$|(?:^|\/)CMakeLists\.txt$/.test(name);
}

/** Sources that a backend has no part in. */
const OTHER_BACKEND = {
  cpu: /^verify[/.]|(?:^|\/)cuda[_./]/,
  cuda: /^(?:simt|verify)[/.]|(?:^|\/)(?:cpu[_./]|emulator_)/,
  verify: /^addon[/.]|^cpu\.cmake$|(?:^|\/)cuda[_./]/,
};
