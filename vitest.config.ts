import { defineConfig } from 'vitest/config';

/** One configuration for every project: tests read the TypeScript sources of all libraries, unbuilt. */
export default defineConfig({
  resolve: { conditions: ['@thalamus/source'] },
  ssr: { resolve: { conditions: ['@thalamus/source'], externalConditions: ['@thalamus/source'] } },
  test: {
    include: ['**/src/**/*.spec.ts', '**/test/**/*.spec.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    passWithNoTests: true,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['src/gen/**', 'src/codec/gen/**'] },
  },
});
