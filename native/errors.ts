/** What went wrong, for programs. */
export type ErrorCode =
  | 'EPGEN_ABORTED'
  | 'EPGEN_ARGUMENT'
  | 'EPGEN_CUDA'
  | 'EPGEN_DEADLOCK'
  | 'EPGEN_DISPOSED'
  | 'EPGEN_FAULT'
  | 'EPGEN_STALE'
  | 'EPGEN_TIMEOUT'
  | 'EPGEN_TOOL'
  | 'EPGEN_UNSUPPORTED';

/** What an error carries beside its message. */
export interface ErrorDetails {
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** The error that led to this one. */
  readonly cause?: unknown;
}

/** Every error that epgen throws on purpose. The message says what was expected and what came; `hint` what to do. */
export class EpgenError extends Error {
  override readonly name: string = 'EpgenError';
  /** What went wrong: `EPGEN_DISPOSED`, `EPGEN_ABORTED`, ... */
  readonly code: ErrorCode;
  /** What to do about it. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, { hint, cause }: ErrorDetails = {}) {
    // The hint belongs to what people see when nobody catches the error.
    super(
      hint === undefined ? message : `${message}\n${hint}`,
      cause === undefined ? {} : { cause },
    );
    this.code = code;
    this.hint = hint;
  }
}

/** An argument, option or call does not fit; nothing was launched unless the message names an index found on the device. */
export class EpgenArgumentError extends EpgenError {
  override readonly name = 'EpgenArgumentError';
  constructor(message: string, details?: ErrorDetails) {
    super('EPGEN_ARGUMENT', message, details);
  }
}

/** A rank waited past the deadline; the group rejects further calls until `group.recover()`. */
export class EpgenTimeoutError extends EpgenError {
  override readonly name = 'EpgenTimeoutError';
  constructor(message: string, details?: ErrorDetails) {
    super('EPGEN_TIMEOUT', message, details);
  }
}

/** A view of the window is used after its memory went to a later call, or a tensor whose values were lost with the group. */
export class EpgenStaleError extends EpgenError {
  override readonly name = 'EpgenStaleError';
  constructor(message: string, details?: ErrorDetails) {
    super('EPGEN_STALE', message, details);
  }
}

/** Something that this version, or this module's spec, was not compiled with. */
export class EpgenUnsupportedError extends EpgenError {
  override readonly name = 'EpgenUnsupportedError';
  constructor(message: string, details?: ErrorDetails) {
    super('EPGEN_UNSUPPORTED', message, details);
  }
}

/** The machine's GPUs or their driver cannot do what was asked: none or too few, of another architecture, out of memory, or failed. */
export class EpgenCudaError extends EpgenError {
  override readonly name = 'EpgenCudaError';
  constructor(message: string, details?: ErrorDetails) {
    super('EPGEN_CUDA', message, details);
  }
}

/** A compiled addon is missing, does not load, or belongs to another spec. */
export class EpgenToolError extends EpgenError {
  override readonly name = 'EpgenToolError';
  constructor(message: string, details?: ErrorDetails) {
    super('EPGEN_TOOL', message, details);
  }
}
