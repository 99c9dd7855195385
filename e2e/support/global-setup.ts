import { sharedKafka } from '@thalamus/testing';
import type { TestProject } from 'vitest/node';
import { hasMesh } from './bus.js';

/** Finds or starts the broker of a Kafka run: the suites ask for it by name. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (process.env['E2E_BUS'] !== 'kafka') {
    project.provide('meshBrokers', '');
    return () => Promise.resolve();
  }
  const { brokers, dispose } = await sharedKafka();
  const address = brokers.join(',');
  if (process.env['KAFKA_BROKERS'] !== undefined && (await hasMesh(address)))
    throw new Error(
      `The broker of KAFKA_BROKERS, ${address}, holds topics of a mesh, which these suites would delete. Name an empty one, or unset KAFKA_BROKERS.`,
    );
  project.provide('meshBrokers', address);
  return dispose;
}
