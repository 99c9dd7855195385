// Queues, batches and memory of the expert hosts.
import { dashboard } from '../grafana.mjs';
import { METRIC, quantile, rate } from '../metric-names.mjs';

export const hostsBoard = dashboard({
  uid: 'thalamus-hosts',
  title: 'Thalamus / Expert hosts',
  description: 'Queues, batches and memory of the hosts.',
  rows: [
    {
      title: 'Work',
      panels: [
        {
          title: 'Inferences',
          unit: 'reqps',
          stack: true,
          description: 'Requests that were inferred, by expert.',
          queries: [
            { expr: rate(METRIC.inferences, 'thalamus_expert_name'), legend: '{{thalamus_expert_name}}' },
          ],
        },
        {
          title: 'Time in the queue',
          unit: 's',
          description: 'How long texts wait for their batch.',
          queries: [
            { expr: quantile(0.5, METRIC.queueDuration), legend: 'p50' },
            { expr: quantile(0.95, METRIC.queueDuration), legend: 'p95' },
          ],
        },
        {
          title: 'Batch size',
          description: 'Texts in a batch, on average.',
          queries: [
            {
              expr: `${rate(`${METRIC.batchSize}_sum`)} / ${rate(`${METRIC.batchSize}_count`)}`,
              legend: 'mean',
            },
          ],
        },
      ],
    },
    {
      title: 'Residency',
      panels: [
        {
          title: 'Weights in memory',
          unit: 'bytes',
          width: 12,
          description: 'Bytes accounted to what is loaded, by host.',
          queries: [{ expr: METRIC.residentBytes, legend: '{{instance}}' }],
        },
        {
          title: 'Resident memory',
          unit: 'bytes',
          width: 12,
          description: 'Resident memory of the host processes.',
          queries: [{ expr: `${METRIC.residentMemory}{job="expert-host"}`, legend: '{{instance}}' }],
        },
      ],
    },
  ],
});
