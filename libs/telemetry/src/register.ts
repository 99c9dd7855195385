/**
 * Starts OpenTelemetry before anything else: `node --import @thalamus/telemetry/register main.js`.
 * Spans go to THALAMUS_OTLP_ENDPOINT when it is set; metrics wait for the ops server to ask for them.
 */
import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { CompositePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { basename, dirname } from 'node:path';
import { PullReader } from './pull-reader.js';
import { setSdk } from './sdk-handle.js';
import { createTracerProvider } from './tracer-provider.js';

const mainFile = process.argv[1] ?? '';
const serviceName = process.env['OTEL_SERVICE_NAME'] ?? basename(dirname(dirname(mainFile)));
const resource = resourceFromAttributes({
  'service.name': serviceName,
  'service.instance.id': String(process.pid),
});

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new CompositePropagator({ propagators: [new W3CTraceContextPropagator()] }));

const reader = new PullReader();
const meterProvider = new MeterProvider({ resource, readers: [reader] });
metrics.setGlobalMeterProvider(meterProvider);

const endpoint = process.env['THALAMUS_OTLP_ENDPOINT'];
const tracerProvider = await createTracerProvider({
  resource,
  endpoint: endpoint === '' ? undefined : endpoint,
  ratio: Number(process.env['THALAMUS_TRACE_RATIO'] ?? '1'),
});
trace.setGlobalTracerProvider(tracerProvider);

setSdk({
  serviceName,
  answerScrape: (response) => reader.answer(response),
  shutdown: async () => {
    await tracerProvider.shutdown();
    await meterProvider.shutdown();
  },
});
