import type { TestProject } from 'vitest/node';
import { sharedKafka } from './kafka-broker.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** host:port of the brokers that all Kafka suites of a run share. */
    kafkaBrokers: readonly string[];
  }
}

/** Vitest's global setup of the Kafka project: one broker for a whole run, started only when a Kafka suite is to run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { brokers, dispose } = await sharedKafka();
  project.provide('kafkaBrokers', brokers);
  return dispose;
}
