/** What went wrong, for programs: the command line turns it into an exit code. */
export type ErrorCode =
  | 'EPGEN_SPEC'
  | 'EPGEN_TOOL'
  | 'EPGEN_UNSUPPORTED'
  | 'EPGEN_ARGUMENT'
  | 'EPGEN_COMPILE'
  | 'EPGEN_DRIFT'
  | 'EPGEN_IO'
  /** A defect of epgen itself. */
  | 'EPGEN_INTERNAL';

export interface ErrorDetails {
  /** What to do about it, where there is one thing to do. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Every error that epgen raises on purpose. */
export class EpgenError extends Error {
  readonly code: ErrorCode;
  readonly hint?: string;

  constructor(message: string, { code, hint, cause }: ErrorDetails & { code: ErrorCode }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    if (hint !== undefined) this.hint = hint;
  }
}

/** One broken rule of a spec. */
export interface SpecIssue {
  /** Field of the spec, such as `channels.memory.count`; empty for the spec as a whole. */
  readonly path: string;
  /** What was expected of the field, what came, and why it matters. */
  readonly message: string;
  readonly received: unknown;
  /** What to write instead. */
  readonly fix?: string;
}

/** A spec that can't be read or breaks rules; lists all of them. */
export class EpgenSpecError extends EpgenError {
  readonly issues: readonly SpecIssue[];

  constructor(
    message: string,
    { issues = [], ...details }: ErrorDetails & { issues?: readonly SpecIssue[] } = {},
  ) {
    super(message, { code: 'EPGEN_SPEC', ...details });
    this.issues = issues;
  }
}

/** A program that a build needs is absent or too old. */
export class EpgenToolError extends EpgenError {
  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { code: 'EPGEN_TOOL', ...details });
  }
}

/** A valid request for something that this version does not build. */
export class EpgenUnsupportedError extends EpgenError {
  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { code: 'EPGEN_UNSUPPORTED', ...details });
  }
}
