// Names of our metrics as Prometheus sees them, from the one table in libs/contracts.
import { METRICS } from '@thalamus/contracts';
import { prometheusName } from '@thalamus/telemetry';

/** The series of a metric; a histogram's are its _bucket, _sum and _count. */
export const METRIC = Object.fromEntries(
  Object.entries(METRICS).map(([key, { name, unit, kind }]) => [
    key,
    prometheusName({ name, unit, isCounter: kind === 'counter' }),
  ]),
);

/** Seconds at a quantile of a histogram, by the given labels. */
export const quantile = (q, metric, by = '', filter = '') =>
  `histogram_quantile(${q}, sum by (le${by === '' ? '' : `, ${by}`}) (rate(${metric}_bucket${filter}[$__rate_interval])))`;

/** Per second, by the given labels. */
export const rate = (metric, by = '', filter = '') =>
  `sum${by === '' ? '' : ` by (${by})`} (rate(${metric}${filter}[$__rate_interval]))`;
