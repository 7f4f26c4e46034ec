/** What a command came to; failures that have an explanation are thrown instead. */
export type Outcome = 'ok' | 'check-failed' | 'tools-missing';

export const OUTCOME_EXIT_CODES: Record<Outcome, number> = {
  ok: 0,
  'check-failed': 1,
  'tools-missing': 3,
};

export const BAD_INPUT = 2;
export const RUN_TIME_FAILURE = 5;

/** By error code; anything else is a run-time failure. */
const ERROR_EXIT_CODES: Readonly<Record<string, number>> = {
  EPGEN_DRIFT: 1,
  EPGEN_SPEC: BAD_INPUT,
  EPGEN_ARGUMENT: BAD_INPUT,
  EPGEN_UNSUPPORTED: BAD_INPUT,
  // A folder that cannot be written, or that holds another spec, is a bad place to have named.
  EPGEN_IO: BAD_INPUT,
  EPGEN_TOOL: 3,
  EPGEN_COMPILE: 4,
};

/** Causes of EPGEN_IO that no other input would have avoided: the machine ran out, or a lock was lost. */
const MACHINE_FAILURES: ReadonlySet<unknown> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'EMFILE',
  'ENFILE',
  'ECOMPROMISED',
]);

export function exitCodeOf(error: unknown): number {
  const code = codeOf(error);
  if (code === 'EPGEN_IO' && MACHINE_FAILURES.has(codeOf((error as Error).cause))) {
    return RUN_TIME_FAILURE;
  }
  return (typeof code === 'string' && ERROR_EXIT_CODES[code]) || RUN_TIME_FAILURE;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code;
}
