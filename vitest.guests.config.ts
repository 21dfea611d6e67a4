import { defineConfig } from 'vitest/config';

// Whole operating systems: minutes each, one at a time. Apart from `npm test`, which stays quick.
export default defineConfig({
  test: { include: ['tests/guests/**/*.test.ts'], testTimeout: 1_800_000, pool: 'forks', fileParallelism: false },
});
