import { defineConfig } from 'vitest/config';

/** Updates of an expert on a real Kafka broker while callers ask: promoted, caught in shadow, caught in canary, resumed after kill -9. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['@thalamus/source'] },
  ssr: { resolve: { conditions: ['@thalamus/source'], externalConditions: ['@thalamus/source'] } },
  test: {
    include: ['*.e2e.spec.ts'],
    globalSetup: ['../support/global-setup.ts'],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 240_000,
  },
});
