import { readFile } from 'node:fs/promises';
import { EpgenError } from './errors.js';
import { ioError } from './io-error.js';

/** package.json of a generated folder in a project that is not of type module: index.js is one. */
export const MODULE_MANIFEST = '{ "type": "module" }\n';

/** A package.json as text and as what it says. */
export interface ProjectManifest {
  readonly text: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** @throws EpgenError EPGEN_IO that names the file, when Node and npm could not read it either. */
export async function readManifest(path: string): Promise<ProjectManifest> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw ioError('read', path, error);
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = text.startsWith('\uFEFF')
      ? 'a byte order mark before it'
      : (error as Error).message;
    throw manifestError(`Expected ${path} to be JSON but found ${reason}`);
  }
  if (!isRecord(value)) {
    throw manifestError(`Expected ${path} to hold an object but found ${kindOf(value)}`);
  }
  return { text, value };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function manifestError(message: string): EpgenError {
  return new EpgenError(message, {
    code: 'EPGEN_IO',
    hint: 'Mend the file; it is left as it is.',
  });
}

export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return value === null || typeof value !== 'object' ? JSON.stringify(value) : 'an object';
}
