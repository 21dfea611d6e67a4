import { defineConfig } from 'vitest/config';

// Two cores are the norm here and several suites are heavy (millions of encodings, real guests): no timed assertion
// exists anywhere, so the timeout is only a net for a hang.
export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    exclude: ['tests/guests/**'],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    pool: 'forks',
  },
});
