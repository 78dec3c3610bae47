import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/server.ts'],
    // Two shared cores: more workers than that only make every timing worse.
    maxWorkers: 2,
    // For what hangs, and not for what is slow: a busy machine may take ten times as long as a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
