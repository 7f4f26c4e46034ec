// Turns what the addon rejects with into epgen's errors.
import type {
  RawExpertIndexDetail,
  RawTimeoutDetail,
  RawWorstTokensDetail,
} from './addon-types.js';
import type { Dimensions } from './dimensions.js';
import {
  EpgenArgumentError,
  EpgenCudaError,
  EpgenError,
  EpgenTimeoutError,
  EpgenUnsupportedError,
  type ErrorCode,
} from './errors.js';
import { timeoutMessage } from './timeout-message.js';

interface RawError extends Error {
  readonly code: string;
  readonly detail?: unknown;
}

const RECOVER_HINT = 'await group.recover() makes the group usable again.';

/** The error to throw for `error`, which stays its cause; what the addon did not make is passed on. */
export function errorFromRaw(error: unknown, dims: Dimensions): unknown {
  if (!isRawError(error)) return error;
  const { message, detail } = error;
  const code = error.code as ErrorCode;
  switch (code) {
    case 'EPGEN_ARGUMENT':
      if (hasKind<RawWorstTokensDetail>(detail, 'worst-tokens')) {
        return new EpgenArgumentError(worstTokensMessage(detail), {
          cause: error,
          hint: 'Ask for more numWorstTokens; the group stays usable.',
        });
      }
      if (!hasKind<RawExpertIndexDetail>(detail, 'expert-index')) {
        return new EpgenArgumentError(message, { cause: error });
      }
      return new EpgenArgumentError(expertIndexMessage(detail, dims), {
        cause: error,
        hint: 'The call went on without that index, so the group stays usable.',
      });
    case 'EPGEN_TIMEOUT':
      if (!hasKind<RawTimeoutDetail>(detail, 'timeout')) {
        return new EpgenTimeoutError(message, { cause: error });
      }
      return new EpgenTimeoutError(timeoutMessage(detail, dims.numRanks), {
        cause: error,
        hint: RECOVER_HINT,
      });
    case 'EPGEN_ABORTED':
      return new EpgenError(code, abortedMessage(message, detail, dims), {
        cause: error,
        hint: RECOVER_HINT,
      });
    case 'EPGEN_FAULT':
      // Nothing was begun, so the group goes on as before.
      if (hasKind(detail, 'shortage')) return new EpgenError(code, message, { cause: error });
      return new EpgenError(code, message, { cause: error, hint: RECOVER_HINT });
    case 'EPGEN_DEADLOCK':
      return new EpgenError(code, message, { cause: error, hint: RECOVER_HINT });
    case 'EPGEN_CUDA':
      return new EpgenCudaError(message, { cause: error, hint: cudaHint(detail) });
    case 'EPGEN_UNSUPPORTED':
      return new EpgenUnsupportedError(message, { cause: error });
    case 'EPGEN_DISPOSED':
    case 'EPGEN_STALE':
    case 'EPGEN_TOOL':
      return new EpgenError(code, message, { cause: error });
    default:
      code satisfies never;
      return error;
  }
}

function cudaHint(detail: unknown): string {
  if (typeof detail === 'object' && detail !== null && 'name' in detail) {
    if (detail.name === 'cudaErrorMemoryAllocation') {
      return 'End what else uses the device, lower arenaBytes or ht.maxTokensPerRank in the spec, or choose other devices.';
    }
  }
  return `${RECOVER_HINT} Where it is refused too, the device is lost to this process.`;
}

/** Whether the addon tells of what a kernel found wrong in an earlier call. What it rejects with that was itself performed. */
export function isEarlierCallError(error: unknown): boolean {
  if (!isRawError(error)) return false;
  const { detail } = error;
  return (
    hasKind<RawExpertIndexDetail>(detail, 'expert-index') ||
    hasKind<RawWorstTokensDetail>(detail, 'worst-tokens')
  );
}

function worstTokensMessage({ rank, numWorstTokens, numRecvTokens }: RawWorstTokensDetail): string {
  return `Expected at most ${numWorstTokens} rows (numWorstTokens) to arrive on rank ${rank} but received ${numRecvTokens}`;
}

function expertIndexMessage(detail: RawExpertIndexDetail, { numExperts }: Dimensions): string {
  const { rank, token, k, value } = detail;
  return `rank ${rank}: topkIdx[${token}][${k}] is ${value}, expected -1 or 0..${numExperts - 1}`;
}

function abortedMessage(message: string, detail: unknown, dims: Dimensions): string {
  const cause =
    typeof detail === 'object' && detail !== null && 'cause' in detail ? detail.cause : undefined;
  if (cause === undefined) return message;
  const first = errorFromRaw(cause, dims);
  const reason = first instanceof EpgenError ? firstLine(first) : firstLine(cause);
  return `The group gave up after an earlier error: ${reason}`;
}

function firstLine(error: unknown): string {
  const text =
    typeof error === 'object' && error !== null && 'message' in error
      ? String(error.message)
      : String(error);
  return (text.split('\n', 1)[0] ?? text).replace(/:$/, '');
}

function isRawError(error: unknown): error is RawError {
  // The cause of an abort may have crossed as a plain object.
  return (
    typeof error === 'object' &&
    error !== null &&
    !(error instanceof EpgenError) &&
    'code' in error &&
    'message' in error &&
    String(error.code).startsWith('EPGEN_')
  );
}

function hasKind<T extends { readonly kind: string }>(
  detail: unknown,
  kind: T['kind'],
): detail is T {
  return typeof detail === 'object' && detail !== null && 'kind' in detail && detail.kind === kind;
}
