import { createRequire } from 'node:module';
import type * as Kafkajs from 'kafkajs';

const require = createRequire(import.meta.url);

/** kafkajs, loaded when the first bus on Kafka is made: a mesh on the embedded log has no use for its modules in every service. */
export function loadKafkajs(): typeof Kafkajs {
  return require('kafkajs') as typeof Kafkajs;
}
