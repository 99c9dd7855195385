import { defineConfig } from 'vitest/config';

/** The container image without an engine: its layout in a clean folder, each service started from it. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['@thalamus/source'] },
  ssr: { resolve: { conditions: ['@thalamus/source'], externalConditions: ['@thalamus/source'] } },
  test: {
    include: ['*.e2e.spec.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
});
