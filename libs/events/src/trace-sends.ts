import { SpanKind } from '@opentelemetry/api';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { counter, headersFromContext, withSpan } from '@thalamus/telemetry';
import type { BusRecord } from './event-bus.port.js';

let sent: ReturnType<typeof counter> | undefined;

/** Publishes inside a producer span and writes its trace context into the headers of every record. */
export async function traceSends<T>(
  system: string,
  records: readonly BusRecord[],
  publish: (records: readonly BusRecord[]) => Promise<T>,
): Promise<T> {
  const topic = records[0]?.topic ?? '';
  const attributes = {
    [ATTRIBUTES.messagingSystem]: system,
    [ATTRIBUTES.messagingDestination]: topic,
    [ATTRIBUTES.messagingOperationType]: 'send',
    [ATTRIBUTES.messagingBatchCount]: records.length,
  };
  return withSpan(`send ${topic}`, { kind: SpanKind.PRODUCER, attributes }, async () => {
    const trace = headersFromContext();
    const result = await publish(
      records.map((record) => ({ ...record, headers: { ...record.headers, ...trace } })),
    );
    sent ??= counter(METRICS.messagesSent);
    for (const record of records) sent.add(1, { [ATTRIBUTES.messagingDestination]: record.topic });
    return result;
  });
}
