import { defineConfig } from 'vitest/config';

/** Pages whose command blocks are executed. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['@thalamus/source'] },
  ssr: { resolve: { conditions: ['@thalamus/source'], externalConditions: ['@thalamus/source'] } },
  test: {
    include: ['*.docs.spec.ts'],
    globalSetup: ['../support/global-setup.ts'],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 180_000,
  },
});
