import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// What commands print is compared as plain text, also where CI sets this, or `CI` itself, to get colours.
delete process.env.FORCE_COLOR;

// What takes minutes runs by `npm run test:long`.
const long = process.env.EPGEN_TEST_SCALE
  ? []
  : ['test/kernels/low-latency/{accuracy,far-rows,large-rows,soak}.test.ts'];

// One emulated machine keeps two cores busy now and then, and a large one takes gigabytes: these run one after another.
const emulated = ['test/{kernels,native,ready,seeds}/**/*.test.ts'];

const left = ['test/gpu/suites/**', 'test/bench/**', ...long];

const shared = {
  pool: 'forks',
  env: { NO_COLOR: '1' },
  testTimeout: 240_000,
  hookTimeout: 300_000,
} as const;

export default defineConfig({
  resolve: {
    alias: [
      { find: /^epgen\/runtime$/, replacement: source('native/index.ts') },
      { find: /^epgen$/, replacement: source('generator/index.ts') },
    ],
  },
  test: {
    reporters: ['default', './test/summary-reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          ...shared,
          name: 'emulated',
          include: emulated,
          exclude: left,
          maxWorkers: 1,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          ...shared,
          name: 'other',
          include: ['test/**/*.test.ts'],
          exclude: [...left, ...emulated],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
