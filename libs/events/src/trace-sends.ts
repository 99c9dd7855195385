import { context, SpanKind, trace, type Span } from '@opentelemetry/api';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { contextFromHeaders, counter, failSpan, headersFromContext, tracer } from '@thalamus/telemetry';
import type { BusRecord } from './event-bus.port.js';

let sent: ReturnType<typeof counter> | undefined;

/**
 * Publishes with a producer span for each record, whose trace context goes into the headers of the record. The parent is
 * the trace context that the record already carries (it may have waited in a queue, next to records of other requests),
 * else the current span.
 */
export async function traceSends<T>(
  system: string,
  records: readonly BusRecord[],
  publish: (records: readonly BusRecord[]) => Promise<T>,
): Promise<T> {
  const spans: Span[] = [];
  const traced = records.map((record) => {
    const parent = contextFromHeaders(record.headers);
    const span = tracer().startSpan(
      `send ${record.topic}`,
      {
        kind: SpanKind.PRODUCER,
        attributes: {
          [ATTRIBUTES.messagingSystem]: system,
          [ATTRIBUTES.messagingDestination]: record.topic,
          [ATTRIBUTES.messagingOperationType]: 'send',
          [ATTRIBUTES.messagingBatchCount]: records.length,
        },
      },
      parent,
    );
    spans.push(span);
    const headers = context.with(trace.setSpan(parent, span), headersFromContext);
    return { ...record, headers: { ...record.headers, ...headers } };
  });
  try {
    const result = await publish(traced);
    sent ??= counter(METRICS.messagesSent);
    for (const record of records) sent.add(1, { [ATTRIBUTES.messagingDestination]: record.topic });
    return result;
  } catch (fault) {
    for (const span of spans) failSpan(span, fault);
    throw fault;
  } finally {
    for (const span of spans) span.end();
  }
}
