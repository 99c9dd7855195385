import type { Attributes } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import { DataPointType, type MetricData, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { prometheusName } from './prometheus-name.js';

/** Media type of the text. */
export const PROMETHEUS_MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * The Prometheus text of collected metrics (exposition format 0.0.4). Names follow the OpenTelemetry rules for Prometheus:
 * what is no letter, digit or underscore becomes `_`; the unit and, for counters, `_total` are appended.
 */
export function prometheusText(collected: ResourceMetrics): string {
  const lines = targetInfo(collected.resource);
  for (const { metrics } of collected.scopeMetrics)
    for (const metric of metrics) lines.push(...family(metric));
  return `${lines.join('\n')}\n`;
}

function targetInfo(resource: Resource): string[] {
  return [
    '# HELP target_info The process that these metrics are of.',
    '# TYPE target_info gauge',
    `target_info${labels(resource.attributes)} 1`,
  ];
}

function family(metric: MetricData): string[] {
  const { name, unit, description } = metric.descriptor;
  const isCounter = metric.dataPointType === DataPointType.SUM && metric.isMonotonic;
  const full = prometheusName({ name, unit, isCounter });
  const head = (type: string) => [`# HELP ${full} ${escapeHelp(description)}`, `# TYPE ${full} ${type}`];
  switch (metric.dataPointType) {
    case DataPointType.SUM:
    case DataPointType.GAUGE:
      return [
        ...head(isCounter ? 'counter' : 'gauge'),
        ...metric.dataPoints.map(({ attributes, value }) => `${full}${labels(attributes)} ${text(value)}`),
      ];
    case DataPointType.HISTOGRAM:
      return [
        ...head('histogram'),
        ...metric.dataPoints.flatMap(({ attributes, value }) => buckets(full, attributes, value)),
      ];
    case DataPointType.EXPONENTIAL_HISTOGRAM:
      // No instrument of ours is configured so; the text format has no form for it.
      return [];
  }
}

function buckets(
  name: string,
  attributes: Attributes,
  value: {
    readonly buckets: { readonly boundaries: readonly number[]; readonly counts: readonly number[] };
    readonly sum?: number | undefined;
    readonly count: number;
  },
): string[] {
  let total = 0;
  const lines = value.buckets.boundaries.map((boundary, index) => {
    total += value.buckets.counts[index] ?? 0;
    return `${name}_bucket${labels({ ...attributes, le: text(boundary) })} ${total}`;
  });
  lines.push(`${name}_bucket${labels({ ...attributes, le: '+Inf' })} ${value.count}`);
  lines.push(`${name}_sum${labels(attributes)} ${text(value.sum ?? 0)}`);
  lines.push(`${name}_count${labels(attributes)} ${value.count}`);
  return lines;
}

function labels(attributes: Attributes): string {
  const pairs = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${labelName(key)}="${escapeValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const labelName = (key: string) => key.replaceAll(/[^a-zA-Z0-9_]+/g, '_');

function escapeValue(value: Attributes[string]): string {
  const plain = typeof value === 'string' ? value : JSON.stringify(value);
  return plain.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

const escapeHelp = (help: string) => help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');

function text(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}
