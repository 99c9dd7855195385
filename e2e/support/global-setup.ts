import type { TestProject } from 'vitest/node';

/** Finds the broker of a Kafka run: the suites ask for it by name. */
export function setup(project: TestProject): void {
  project.provide(
    'kafkaBrokers',
    process.env['E2E_BUS'] === 'kafka' ? (process.env['KAFKA_BROKERS'] ?? '') : '',
  );
}
