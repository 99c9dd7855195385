export * from './wait-until.js';
export { freePorts } from './broker/free-ports.js';
export { kafkaBroker, provisionKafka, sharedKafka, type KafkaBroker } from './broker/kafka-broker.js';
export * from './pico-models.js';
export * from './pico-text-experts.js';
