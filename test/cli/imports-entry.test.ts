import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureImportsEntry } from '../../cli/imports-entry.js';
import { createOutput } from '../../cli/output.js';

let project = '';

beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), 'epgen-imports-'));
  await mkdir(join(project, 'generated'));
});
afterEach(() => rm(project, { recursive: true }));

describe('ensureImportsEntry', () => {
  it.each([
    ['{ "name": ', /^Expected .*package\.json to be JSON but found /],
    ['\uFEFF{}', /^Expected .*package\.json to be JSON but found a byte order mark before it$/],
    ['[]', /^Expected .*package\.json to hold an object but found an array$/],
    ['{ "imports": "x" }', /^Expected "imports" of .* to be an object but received "x"$/],
    ['{ "imports": [] }', /^Expected "imports" of .* to be an object but received an array$/],
    ['{ "imports": null }', /^Expected "imports" of .* to be an object but received null$/],
  ])('refuses %s and leaves it', async (text, message) => {
    const path = join(project, 'package.json');
    await writeFile(path, text);
    const work = ensureImportsEntry(join(project, 'generated', 'x'), createOutput({ json: false }));
    await expect(work).rejects.toMatchObject({
      code: 'EPGEN_IO',
      message: expect.stringMatching(message),
    });
    expect(await readFile(path, 'utf8')).toBe(text);
  });
});
