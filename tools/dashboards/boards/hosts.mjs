// Queues, batches, processes and memory of the expert hosts.
import { dashboard } from '../grafana.mjs';
import { METRIC, quantile, rate } from '../metric-names.mjs';

export const hostsBoard = dashboard({
  uid: 'thalamus-hosts',
  title: 'Thalamus / Expert hosts',
  description: 'Queues, batches, inference processes and memory of the hosts.',
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
          title: 'Waiting',
          description: 'Texts, and requests of graphs of tensors, that wait for their run, by host.',
          queries: [{ expr: METRIC.queueDepth, legend: '{{instance}}' }],
        },
        {
          title: 'Batch size',
          description: 'Texts in a batch: on average, and of the larger ones.',
          queries: [
            { expr: quantile(0.95, METRIC.batchSize), legend: 'p95' },
            {
              expr: `${rate(`${METRIC.batchSize}_sum`)} / ${rate(`${METRIC.batchSize}_count`)}`,
              legend: 'mean',
            },
          ],
        },
      ],
    },
    {
      title: 'Inference processes',
      panels: [
        {
          title: 'Ended unasked',
          width: 12,
          description: 'Inference processes that crashed, hung or were killed, in 15 minutes, by host.',
          queries: [{ expr: `increase(${METRIC.childRestarts}[15m])`, legend: '{{instance}}' }],
        },
        {
          title: 'Exchanged',
          width: 12,
          description:
            'Inference processes that were exchanged because of memory they kept, in 15 minutes, by host.',
          queries: [{ expr: `increase(${METRIC.childRecycles}[15m])`, legend: '{{instance}}' }],
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
          description: 'Bytes accounted to what is loaded, by host, and how many there may be.',
          queries: [
            { expr: METRIC.residentBytes, legend: '{{instance}} {{thalamus_memory_kind}}' },
            { expr: METRIC.residentLimit, legend: '{{instance}} limit' },
          ],
        },
        {
          title: 'Resident memory',
          unit: 'bytes',
          width: 12,
          description: 'Resident memory of the host processes.',
          queries: [{ expr: `${METRIC.residentMemory}{job="expert-host"}`, legend: '{{instance}}' }],
        },
        {
          title: 'Loads and evictions',
          unit: 'reqps',
          width: 12,
          description:
            'Experts that were loaded, that were let go to make room, and requests that waited for a load.',
          queries: [
            { expr: rate(`${METRIC.loadDuration}_count`), legend: 'loads' },
            { expr: rate(METRIC.evictions), legend: 'evictions' },
            { expr: rate(METRIC.residencyMisses), legend: 'requests that waited' },
          ],
        },
        {
          title: 'Time to load',
          unit: 's',
          width: 8,
          description: 'How long experts took to be loaded, the room that was made for them included.',
          queries: [
            { expr: quantile(0.5, METRIC.loadDuration), legend: 'p50' },
            { expr: quantile(0.95, METRIC.loadDuration), legend: 'p95' },
          ],
        },
        {
          title: 'Requests that wait for a load',
          unit: 'short',
          width: 4,
          description: 'How many wait now.',
          queries: [{ expr: METRIC.loadsWaiting, legend: '{{instance}}' }],
        },
      ],
    },
  ],
});
