import type * as z from 'zod';
import { didYouMean } from './did-you-mean.js';
import type { SpecIssue } from './errors.js';
import { showValue } from './show-value.js';
import { specFields } from './spec-fields.js';

type ZodIssue = z.core.$ZodIssue;

/** What zod found, as issues in one wording, with the nearest valid value. */
export function issuesFromZod(error: z.ZodError, input: unknown): SpecIssue[] {
  return error.issues.flatMap((issue) => issuesFrom(issue, input, []));
}

function issuesFrom(issue: ZodIssue, input: unknown, prefix: readonly PropertyKey[]): SpecIssue[] {
  const keys = [...prefix, ...issue.path];
  const path = keys.join('.');
  const received = valueAt(input, keys);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => unknownField(path, key, received));
  if (issue.code === 'invalid_union' && isPlainObject(received)) {
    // An object was meant for the branch that takes objects: its own findings say more.
    const inner = issue.errors.find((branch) =>
      branch.some((one) => one.path.length > 0 || one.code === 'unrecognized_keys'),
    );
    if (inner) return inner.flatMap((one) => issuesFrom(one, input, keys));
  }
  return [wrongValue(path, issue, received)];
}

function wrongValue(path: string, issue: ZodIssue, received: unknown): SpecIssue {
  const name = path || 'the spec';
  if (received === undefined) {
    return { path, message: `Expected ${name} to be ${issue.message} but it is missing`, received };
  }
  const message = `Expected ${name} to be ${issue.message} but received ${showValue(received)}`;
  const fix = fixFor(issue, received);
  return fix === undefined ? { path, message, received } : { path, message, received, fix };
}

function unknownField(path: string, key: string, owner: unknown): SpecIssue {
  const full = path ? `${path}.${key}` : key;
  const siblings = specFields
    .map((field) => field.path)
    .filter((one) => (path ? one.startsWith(`${path}.`) : true))
    .map((one) => one.slice(path ? path.length + 1 : 0).split('.', 1)[0] as string);
  const known = [...new Set(siblings)];
  const elsewhere = specFields
    .map((field) => field.path)
    .find((one) => one.split('.').pop() === key);
  const meant = didYouMean(key, known) ?? elsewhere;
  const message = `Expected ${path || 'the spec'} to have only the fields ${known.join(', ')} but received ${full}`;
  const received = isPlainObject(owner) ? owner[key] : undefined;
  return meant
    ? {
        path: full,
        message,
        received,
        fix: `did you mean ${meant.includes('.') || !path ? meant : `${path}.${meant}`}?`,
      }
    : { path: full, message, received, fix: `remove ${full}` };
}

function fixFor(issue: ZodIssue, received: unknown): string | undefined {
  if (issue.code === 'invalid_value') {
    const values = issue.values.filter((value) => typeof value === 'string');
    const meant = typeof received === 'string' ? didYouMean(received, values) : undefined;
    return meant === undefined ? undefined : `'${meant}'`;
  }
  if (issue.code === 'invalid_format' || issue.code === 'too_big') {
    return typeof received === 'string' ? `'${asName(received)}'` : undefined;
  }
  if (!issue.message.includes('positive integer')) return undefined;
  const number = typeof received === 'string' ? Number(received) : received;
  if (typeof number !== 'number' || !Number.isFinite(number)) return undefined;
  const least = issue.message.startsWith('0 or') ? 0 : 1;
  return `${Math.min(Math.max(least, Math.round(number)), Number.MAX_SAFE_INTEGER)}`;
}

function asName(text: string): string {
  const words = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^[_0-9]+|_+$/g, '');
  return words.slice(0, 64).replace(/_+$/, '') || 'my_exchange';
}

function valueAt(input: unknown, keys: readonly PropertyKey[]): unknown {
  return keys.reduce<unknown>(
    (value, key) => (isPlainObject(value) ? value[key as string] : undefined),
    input,
  );
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
