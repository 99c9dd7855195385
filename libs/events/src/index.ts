export type * from './event-bus.port.js';
export { EmbeddedEventBus, type EmbeddedBusOptions } from './embedded/embedded-event-bus.js';
export { MAX_RECORD_BYTES } from './record-size.js';
export { decodeEvent, encodeEvent, encodeTombstone, topicSpec, type EventFacts } from './cloud-events.js';
export { idempotent } from './idempotent.js';
export { deadLetterOf } from './record-processor.js';
export { KafkaEventBus, type KafkaBusOptions } from './kafka/kafka-event-bus.js';
export { SpoolingPublisher, type SpoolOptions } from './spooling-publisher.js';
