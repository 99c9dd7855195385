import { metrics, type Attributes, type Counter, type Histogram } from '@opentelemetry/api';
import type { MetricDefinition } from '@thalamus/contracts';

/** The meter of this product. */
export const meter = () => metrics.getMeter('thalamus');

/** A counter of the contracts. */
export function counter(definition: MetricDefinition<'counter'>): Counter {
  const { name, description, unit } = definition;
  return meter().createCounter(name, { description, unit });
}

/** A histogram of the contracts; durations are recorded in seconds. */
export function histogram(definition: MetricDefinition<'histogram'>): Histogram {
  const { name, description, unit, boundaries = [] } = definition;
  return meter().createHistogram(name, {
    description,
    unit,
    advice: { explicitBucketBoundaries: [...boundaries] },
  });
}

/**
 * A gauge of the contracts that is read when metrics are asked for. `read` returns values with their attributes. Returns
 * what stops it.
 */
export function gauge(
  definition: MetricDefinition<'gauge'>,
  read: () => Iterable<readonly [number, Attributes]>,
): () => void {
  const { name, description, unit } = definition;
  const instrument = meter().createObservableGauge(name, { description, unit });
  const callback = (result: { observe: (value: number, attributes?: Attributes) => void }) => {
    for (const [value, attributes] of read()) result.observe(value, attributes);
  };
  instrument.addCallback(callback);
  return () => {
    instrument.removeCallback(callback);
  };
}
