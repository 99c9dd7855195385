import { defineConfig } from 'vitest/config';

/** The whole mesh on a real Kafka broker: experts composed, announced, called and shown. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['@thalamus/source'] },
  ssr: { resolve: { conditions: ['@thalamus/source'], externalConditions: ['@thalamus/source'] } },
  test: {
    include: ['*.e2e.spec.ts'],
    globalSetup: ['../support/global-setup.ts'],
    fileParallelism: false,
    testTimeout: 660_000,
    hookTimeout: 240_000,
  },
});
