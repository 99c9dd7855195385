import { metrics, type Attributes, type Counter, type Histogram } from '@opentelemetry/api';

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The meter of this product. */
export const meter = () => metrics.getMeter('thalamus');

/** A counter named in the contracts. */
export function counter(name: string, description: string, unit = '1'): Counter {
  return meter().createCounter(name, { description, unit });
}

/** A histogram of durations in seconds, with buckets from half a millisecond to ten seconds. */
export function durationHistogram(name: string, description: string): Histogram {
  return meter().createHistogram(name, {
    description,
    unit: 's',
    advice: { explicitBucketBoundaries: SECONDS },
  });
}

/** A histogram of counts with the given bucket boundaries. */
export function countHistogram(name: string, description: string, boundaries: readonly number[]): Histogram {
  return meter().createHistogram(name, {
    description,
    unit: '1',
    advice: { explicitBucketBoundaries: [...boundaries] },
  });
}

/** A gauge that is read when metrics are asked for. `read` returns values with their attributes. */
export function gauge(
  name: string,
  options: { readonly description: string; readonly unit: string },
  read: () => Iterable<readonly [number, Attributes]>,
): () => void {
  const instrument = meter().createObservableGauge(name, options);
  const callback = (result: { observe: (value: number, attributes?: Attributes) => void }) => {
    for (const [value, attributes] of read()) result.observe(value, attributes);
  };
  instrument.addCallback(callback);
  return () => {
    instrument.removeCallback(callback);
  };
}
