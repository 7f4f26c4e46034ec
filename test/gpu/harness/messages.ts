import type { Host } from './host.js';
import type { TestResult } from './tree.js';

/** What a process that runs one test file is told, as JSON in its first argument. */
export interface FileJob {
  /** Path under test/, without `.js`. */
  readonly file: string;
  readonly host: Host;
}

/** What it tells. */
export type FileMessage =
  | { readonly type: 'declared'; readonly names: readonly string[] }
  | { readonly type: 'started'; readonly name: string }
  | { readonly type: 'ended'; readonly result: TestResult }
  | { readonly type: 'done' };
