import { describe, expect, it } from 'vitest';
import { exitCodeOf } from '../../cli/exit-code.js';
import { EpgenError, type ErrorCode } from '../../generator/errors.js';
import { ioError } from '../../generator/io-error.js';

const systemError = (code: string) => Object.assign(new Error(code), { code });

describe('exitCodeOf', () => {
  it.each<[ErrorCode, number]>([
    ['EPGEN_DRIFT', 1],
    ['EPGEN_SPEC', 2],
    ['EPGEN_ARGUMENT', 2],
    ['EPGEN_UNSUPPORTED', 2],
    ['EPGEN_IO', 2],
    ['EPGEN_TOOL', 3],
    ['EPGEN_COMPILE', 4],
    ['EPGEN_INTERNAL', 5],
  ])('%s is %i', (code, exitCode) => {
    expect(exitCodeOf(new EpgenError('x', { code }))).toBe(exitCode);
  });

  it.each([
    ['EACCES', 2],
    ['ENOTDIR', 2],
    ['EROFS', 2],
    ['ENOSPC', 5],
    ['EDQUOT', 5],
    ['ECOMPROMISED', 5],
  ])('of a file is %i after %s', (code, exitCode) => {
    expect(exitCodeOf(ioError('write', '/x', systemError(code)))).toBe(exitCode);
  });

  it.each([[new TypeError('x')], ['text'], [null], [undefined], [Object.create(null)]])(
    'of anything else is 5',
    (thrown) => expect(exitCodeOf(thrown)).toBe(5),
  );
});
