import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const kafkaFiles = ['**/*.kafka.spec.ts'];
const excluded = ['**/node_modules/**', '**/dist/**'];

/**
 * One configuration for every project: tests read the TypeScript sources of all libraries, unbuilt. Suites that need a Kafka
 * broker end in `.kafka.spec.ts`: they run after all others, one file after the other, against one broker that is started
 * only when one of them is to run.
 */
export default defineConfig({
  resolve: { conditions: ['@thalamus/source'] },
  ssr: { resolve: { conditions: ['@thalamus/source'], externalConditions: ['@thalamus/source'] } },
  test: {
    passWithNoTests: true,
    coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['src/gen/**', 'src/codec/gen/**'] },
    projects: [
      {
        extends: true,
        test: {
          name: 'tests',
          include: [
            '**/src/**/*.spec.ts',
            '**/test/**/*.spec.ts',
            'zoo/test/*.spec.mjs',
            'tools/**/*.spec.mjs',
          ],
          exclude: [...excluded, ...kafkaFiles],
          testTimeout: 20_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'kafka',
          include: kafkaFiles,
          exclude: excluded,
          globalSetup: [
            fileURLToPath(new URL('libs/testing/src/broker/kafka-for-the-run.ts', import.meta.url)),
          ],
          testTimeout: 60_000,
          hookTimeout: 180_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
