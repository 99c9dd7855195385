import type { Resource } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';

/** What the tracer provider needs to know. */
export interface TracerProviderOptions {
  readonly resource: Resource;
  /** OTLP/HTTP base address; undefined: nothing is recorded. */
  readonly endpoint: string | undefined;
  /** Share of new traces that are recorded, 0 to 1. */
  readonly ratio: number;
}

/**
 * A provider that sends spans by OTLP/HTTP, or a recording-free one that still makes trace ids, so that logs of one
 * request share an id across services even when nothing is exported.
 */
export async function createTracerProvider(options: TracerProviderOptions): Promise<TracerProvider> {
  const { resource, endpoint, ratio } = options;
  if (endpoint === undefined) {
    return new TracerProvider({
      resource,
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0) }),
    });
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  return new TracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1000 })],
  });
}
