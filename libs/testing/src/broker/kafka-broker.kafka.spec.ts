import { Kafka, logLevel } from 'kafkajs';
import { inject, it, expect } from 'vitest';

it('one broker serves the run', async () => {
  const admin = new Kafka({ brokers: [...inject('kafkaBrokers')], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  expect((await admin.describeCluster()).brokers).toHaveLength(1);
  await admin.disconnect();
});
