import { MeterProvider, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { METRICS } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { prometheusName } from './prometheus-name.js';
import { prometheusText } from './prometheus-text.js';
import { PullReader } from './pull-reader.js';

async function collect(
  use: (meter: ReturnType<MeterProvider['getMeter']>) => void,
): Promise<ResourceMetrics> {
  const reader = new PullReader();
  const resource = resourceFromAttributes({ 'service.name': 'test' });
  const provider = new MeterProvider({ resource, readers: [reader] });
  use(provider.getMeter('test'));
  return (await reader.collect()).resourceMetrics;
}

describe('prometheusText', () => {
  it('writes counters, gauges and histograms with help, type, unit and total', async () => {
    const text = prometheusText(
      await collect((meter) => {
        meter.createCounter('thalamus.jobs', { description: 'Jobs that ended.', unit: '1' }).add(2, {
          'thalamus.job.kind': 'train',
        });
        meter
          .createObservableGauge('process.memory.usage', { description: 'Memory.', unit: 'By' })
          .addCallback((result) => {
            result.observe(7);
          });
        const duration = meter.createHistogram('rpc.server.call.duration', {
          description: 'Duration.',
          unit: 's',
          advice: { explicitBucketBoundaries: [0.1, 1] },
        });
        for (const seconds of [0.05, 0.5, 0.6, 5]) duration.record(seconds);
      }),
    );
    expect(text).toBe(
      [
        '# HELP target_info The process that these metrics are of.',
        '# TYPE target_info gauge',
        'target_info{service_name="test"} 1',
        '# HELP thalamus_jobs_total Jobs that ended.',
        '# TYPE thalamus_jobs_total counter',
        'thalamus_jobs_total{thalamus_job_kind="train"} 2',
        '# HELP process_memory_usage_bytes Memory.',
        '# TYPE process_memory_usage_bytes gauge',
        'process_memory_usage_bytes 7',
        '# HELP rpc_server_call_duration_seconds Duration.',
        '# TYPE rpc_server_call_duration_seconds histogram',
        'rpc_server_call_duration_seconds_bucket{le="0.1"} 1',
        'rpc_server_call_duration_seconds_bucket{le="1"} 3',
        'rpc_server_call_duration_seconds_bucket{le="+Inf"} 4',
        'rpc_server_call_duration_seconds_sum 6.15',
        'rpc_server_call_duration_seconds_count 4',
        '',
      ].join('\n'),
    );
  });

  it('escapes what would break a line', async () => {
    const text = prometheusText(
      await collect((meter) => {
        meter.createCounter('a.b-c', { description: 'back\\slash\nline' }).add(1, { x: 'a"b\\c\nd' });
      }),
    );
    expect(text).toContain('# HELP a_b_c_total back\\\\slash\\nline');
    expect(text).toContain('a_b_c_total{x="a\\"b\\\\c\\nd"} 1');
  });

  it('gives every metric of the contracts a name of its own that Prometheus accepts', () => {
    const names = Object.values(METRICS).map(({ name, unit, kind }) =>
      prometheusName({ name, unit, isCounter: kind === 'counter' }),
    );
    for (const name of names) expect(name).toMatch(/^[a-zA-Z_][a-zA-Z0-9_]*$/);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('rpc_server_call_duration_seconds');
    expect(names).toContain('process_memory_usage_bytes');
    expect(names).toContain('thalamus_chat_cost_usd_total');
  });
});
