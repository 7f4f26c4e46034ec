import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// What commands print is compared as plain text, also where CI sets this, or `CI` itself, to get colours.
delete process.env.FORCE_COLOR;

// What takes minutes runs by `npm run test:long`.
const long = process.env.EPGEN_TEST_SCALE
  ? []
  : ['test/kernels/low-latency/{accuracy,far-rows,large-rows,soak}.test.ts'];

export default defineConfig({
  resolve: {
    alias: [
      { find: /^epgen\/runtime$/, replacement: source('native/index.ts') },
      { find: /^epgen$/, replacement: source('generator/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/gpu/suites/**', 'test/bench/**', ...long],
    pool: 'forks',
    // One emulated machine already keeps two cores busy, and a large one takes gigabytes.
    maxWorkers: 1,
    env: { NO_COLOR: '1' },
    testTimeout: 240_000,
    hookTimeout: 300_000,
    reporters: ['default', './test/summary-reporter.ts'],
  },
});
