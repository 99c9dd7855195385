import { defineConfig } from 'vitest/config';

/** The whole story on a real Kafka broker, two replicas of each service: two experts trained, routed to, composed, updated while callers ask. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['@thalamus/source'] },
  ssr: { resolve: { conditions: ['@thalamus/source'], externalConditions: ['@thalamus/source'] } },
  test: {
    include: ['*.e2e.spec.ts'],
    globalSetup: ['../support/global-setup.ts'],
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 480_000,
  },
});
