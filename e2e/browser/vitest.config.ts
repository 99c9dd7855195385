import { defineConfig } from 'vitest/config';

/** The console in a real Chromium, before a real mesh that all files share. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['@thalamus/source'] },
  ssr: { resolve: { conditions: ['@thalamus/source'], externalConditions: ['@thalamus/source'] } },
  test: {
    include: ['*.e2e.spec.ts'],
    globalSetup: ['mesh-for-the-run.ts'],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
