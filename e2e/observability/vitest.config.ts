import { defineConfig } from 'vitest/config';

/** A running mesh under a real Prometheus. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['@thalamus/source'] },
  ssr: { resolve: { conditions: ['@thalamus/source'], externalConditions: ['@thalamus/source'] } },
  test: {
    include: ['*.e2e.spec.ts'],
    fileParallelism: false,
    globalSetup: ['../support/global-setup.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
