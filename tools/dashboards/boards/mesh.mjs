// What callers get, which experts answer, and whether the services behind are well.
import { dashboard } from '../grafana.mjs';
import { METRIC, quantile, rate } from '../metric-names.mjs';
import { failed } from '../failed-requests.mjs';

const chat = '{thalamus_stage=~"chat/completions|completions"}';
/** Hosts answer over HTTP too. */
const door = '{job="gateway"}';
const chatRoute = '{http_route=~"/v1/(chat/)?completions"}';

export const meshBoard = dashboard({
  uid: 'thalamus-mesh',
  title: 'Thalamus / Mesh overview',
  description: 'What callers get, which experts answer, and whether the services behind are well.',
  rows: [
    {
      title: 'Callers',
      panels: [
        {
          title: 'Requests',
          unit: 'reqps',
          stack: true,
          description: 'Requests that ended, by how: OK, or a code of the error table.',
          queries: [{ expr: rate(METRIC.requests, 'thalamus_outcome'), legend: '{{thalamus_outcome}}' }],
        },
        {
          title: 'Latency over HTTP',
          unit: 's',
          description: 'From the first byte of a request to the last of its answer.',
          queries: [
            { expr: quantile(0.5, METRIC.httpServerDuration, '', door), legend: 'p50' },
            { expr: quantile(0.95, METRIC.httpServerDuration, '', door), legend: 'p95' },
            { expr: quantile(0.99, METRIC.httpServerDuration, '', door), legend: 'p99' },
          ],
        },
        {
          title: 'Answered',
          kind: 'stat',
          unit: 'percentunit',
          description:
            'Share of requests without a fault of ours; abstentions and callers who left count as answered.',
          queries: [
            { expr: `1 - (${rate(METRIC.requests, '', failed)} or vector(0)) / ${rate(METRIC.requests)}` },
          ],
        },
      ],
    },
    {
      title: 'Chat',
      panels: [
        {
          title: 'Chat requests',
          unit: 'reqps',
          stack: true,
          description: 'Chat completions and completions that ended, by how.',
          queries: [
            { expr: rate(METRIC.requests, 'thalamus_outcome', chat), legend: '{{thalamus_outcome}}' },
          ],
        },
        {
          title: 'Time to the last token',
          unit: 's',
          description:
            'From the first byte of a chat request to the last token of its answer, streamed or not.',
          queries: [
            { expr: quantile(0.5, METRIC.httpServerDuration, '', chatRoute), legend: 'p50' },
            { expr: quantile(0.95, METRIC.httpServerDuration, '', chatRoute), legend: 'p95' },
          ],
        },
        {
          title: 'Cost of chat, an hour',
          unit: 'currencyUSD',
          stack: true,
          description:
            'USD an hour at the present rate, by the model that answered and its registered price.',
          queries: [
            {
              expr: `3600 * ${rate(METRIC.chatCost, 'thalamus_expert_name')}`,
              legend: '{{thalamus_expert_name}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Experts',
      panels: [
        {
          title: 'Who answers',
          unit: 'reqps',
          stack: true,
          width: 12,
          description: 'Answers given, by expert.',
          queries: [
            {
              expr: rate(METRIC.requests, 'thalamus_expert_name', '{thalamus_outcome="OK"}'),
              legend: '{{thalamus_expert_name}}',
            },
          ],
        },
        {
          title: 'Calls between services',
          unit: 's',
          width: 12,
          description: 'p95 of gRPC calls made, by method.',
          queries: [
            { expr: quantile(0.95, METRIC.rpcClientDuration, 'rpc_method'), legend: '{{rpc_method}}' },
          ],
        },
      ],
    },
    {
      title: 'Events and processes',
      panels: [
        {
          title: 'Outcomes that wait for the bus',
          description: 'Records in the spool of each gateway. It grows while the bus is away.',
          queries: [{ expr: METRIC.spoolRecords, legend: '{{instance}}' }],
          thresholds: [
            [1000, 'orange'],
            [9000, 'red'],
          ],
        },
        {
          title: 'Records handled',
          unit: 'short',
          description: 'Records that consumers brought to an end, by outcome.',
          queries: [
            { expr: rate(METRIC.messagesConsumed, 'thalamus_outcome'), legend: '{{thalamus_outcome}}' },
          ],
        },
        {
          title: 'Memory',
          unit: 'bytes',
          description: 'Resident memory of each process.',
          queries: [{ expr: METRIC.residentMemory, legend: '{{job}} {{instance}}' }],
        },
        {
          title: 'Event loop delay',
          unit: 's',
          description: 'p99 of how late timers fire: a service that computes too long in one go.',
          queries: [{ expr: METRIC.eventLoopDelay, legend: '{{job}} {{instance}}' }],
        },
        {
          title: 'Registry writes',
          unit: 'short',
          description: 'Changes of the registry per second.',
          queries: [{ expr: rate(METRIC.registryWrites), legend: 'writes' }],
        },
      ],
    },
  ],
});
