import { readFileSync } from 'node:fs';

/** What became of each test of one run of the whole suite on the CPU backend. */
export interface TestReport {
  readonly command: string;
  readonly commit: string;
  /** Files that differed from the commit. */
  readonly dirty: readonly string[];
  readonly node: string;
  /** By file, then by full name: `passed`, `failed` or `skipped`. */
  readonly files: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** From the project's folder, as all commands are run. */
export function readReport(): TestReport {
  return JSON.parse(readFileSync('test/features/report.json', 'utf8')) as TestReport;
}
