import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { Reporter, TestModule } from 'vitest/node';
import { sourcesOf } from '../native/bench/git-state.js';
import type { TestReport } from './features/report.js';

/** Writes what became of each test to `EPGEN_TEST_REPORT`: what the feature table is rendered from. */
export default class ReportReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const path = process.env.EPGEN_TEST_REPORT;
    if (path === undefined) throw new Error('Expected EPGEN_TEST_REPORT to name a file');
    const root = process.cwd();
    const files = modules.map((module) => {
      const tests = [...module.children.allTests()];
      const states = tests.map((test): [string, string] => [test.fullName, test.result().state]);
      return [relative(root, module.moduleId), Object.fromEntries(states.sort())] as const;
    });
    const report: TestReport = {
      command: 'npm run report',
      commit: sourcesOf(root)?.commit ?? 'unknown',
      dirty: sourcesOf(root)?.dirty ?? [],
      node: process.version,
      files: Object.fromEntries(files.sort()),
    };
    writeFileSync(path, `${JSON.stringify(report, null, 1)}\n`);
  }
}
