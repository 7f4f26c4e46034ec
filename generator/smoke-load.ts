import { execa } from 'execa';
import { CHILD_ENV } from './build-tree.js';
import { EpgenError } from './errors.js';
import { type Spec, specHash } from './spec.js';

/**
 * Loads the addon in a child, so that one that crashes cannot take the build down.
 * @throws EpgenError EPGEN_COMPILE when it does not load, or is another spec's.
 */
export async function smokeLoad(path: string, spec: Spec): Promise<void> {
  const program = [
    'const loaded = { exports: {} };',
    'process.dlopen(loaded, process.argv[1]);',
    'const { name, specHash } = loaded.exports;',
    'console.log(JSON.stringify({ name, specHash }));',
  ].join('');
  const result = await execa(process.execPath, ['-e', program, path], {
    env: CHILD_ENV,
    reject: false,
    timeout: 60_000,
  });
  const expected = JSON.stringify({ name: spec.name, specHash: specHash(spec) });
  if (!result.failed && result.stdout.trim() === expected) return;
  const received = result.failed ? `${result.shortMessage}\n${result.stderr}` : result.stdout;
  throw new EpgenError(
    `The compiled addon does not load: expected ${expected} but received ${received.trim()}`,
    { code: 'EPGEN_COMPILE' },
  );
}
