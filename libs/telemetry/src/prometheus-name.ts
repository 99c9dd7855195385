const UNIT_SUFFIX: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes', USD: '_usd' };

/**
 * Name of a metric in Prometheus, by the rules of OpenTelemetry: what is no letter, digit or underscore becomes `_`; the unit
 * and, for counters, `_total` are appended.
 */
export function prometheusName(metric: {
  readonly name: string;
  readonly unit: string;
  readonly isCounter: boolean;
}): string {
  const unit = UNIT_SUFFIX[metric.unit] ?? '';
  let name = metric.name.replaceAll(/[^a-zA-Z0-9_]+/g, '_');
  if (unit !== '' && !name.endsWith(unit)) name += unit;
  if (metric.isCounter && !name.endsWith('_total')) name += '_total';
  return name;
}
