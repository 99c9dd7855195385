// The dashboards and alerts of the mesh: the one source of the Grafana JSON and the Prometheus rules in helm/thalamus.
// Later panels are added here; the tests ask a real Prometheus every query.
import { dashboard } from './grafana.mjs';
import { METRIC, quantile, rate } from './metric-names.mjs';

const failed =
  '{thalamus_outcome!="OK",thalamus_outcome!="NO_SUITABLE_EXPERT",thalamus_outcome!="CANCELLED"}';

const chat = '{thalamus_stage=~"chat/completions|completions"}';
const chatRoute = '{http_route=~"/v1/(chat/)?completions"}';

export const DASHBOARDS = [
  dashboard({
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
              { expr: quantile(0.5, METRIC.httpServerDuration), legend: 'p50' },
              { expr: quantile(0.95, METRIC.httpServerDuration), legend: 'p95' },
              { expr: quantile(0.99, METRIC.httpServerDuration), legend: 'p99' },
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
  }),
  dashboard({
    uid: 'thalamus-router',
    title: 'Thalamus / Router',
    description: 'How fast and how decidedly prompts are routed.',
    rows: [
      {
        title: 'Decisions',
        panels: [
          {
            title: 'Decisions',
            unit: 'reqps',
            width: 6,
            stack: true,
            description: 'Decisions, routed or abstained.',
            queries: [{ expr: rate(METRIC.decisions, 'thalamus_outcome'), legend: '{{thalamus_outcome}}' }],
          },
          {
            title: 'Duration of a decision',
            unit: 's',
            width: 6,
            description: 'Tokenise, encode, predict, filter and weigh, with the wait for a batch.',
            queries: [
              { expr: quantile(0.5, METRIC.decisionDuration), legend: 'p50' },
              { expr: quantile(0.95, METRIC.decisionDuration), legend: 'p95' },
            ],
          },
          {
            title: 'Prompts seen before',
            unit: 'reqps',
            stack: true,
            width: 6,
            description:
              'Prompts looked up among those predicted before: a hit spares the encoder, a miss runs it.',
            queries: [{ expr: rate(METRIC.promptCache, 'thalamus_outcome'), legend: '{{thalamus_outcome}}' }],
          },
          {
            title: 'Calls served',
            unit: 'reqps',
            width: 6,
            description: 'gRPC calls that the router served, by method.',
            queries: [
              {
                expr: rate(
                  `${METRIC.rpcServerDuration}_count`,
                  'rpc_method',
                  '{rpc_method=~"thalamus.router.*"}',
                ),
                legend: '{{rpc_method}}',
              },
            ],
          },
        ],
      },
    ],
  }),
  dashboard({
    uid: 'thalamus-jobs',
    title: 'Thalamus / Jobs',
    description: 'Training, evaluation and the other long work: what waits, what runs, how it ends.',
    rows: [
      {
        title: 'Queue',
        panels: [
          {
            title: 'Waiting and running',
            stack: true,
            width: 12,
            description: 'Jobs that wait for a worker or run on one, by kind.',
            queries: [
              {
                expr: `sum by (thalamus_job_kind, thalamus_job_state) (${METRIC.jobsOpen})`,
                legend: '{{thalamus_job_kind}} {{thalamus_job_state}}',
              },
            ],
          },
          {
            title: 'Time left',
            unit: 's',
            width: 12,
            description: 'Estimated time to the end of the stage that each worker is in.',
            queries: [{ expr: METRIC.jobRemaining, legend: '{{instance}} {{thalamus_job_kind}}' }],
          },
        ],
      },
      {
        title: 'Endings',
        panels: [
          {
            title: 'Jobs that ended',
            stack: true,
            width: 12,
            description: 'Jobs that came to an end in the last hour, by how.',
            queries: [
              {
                expr: `sum by (thalamus_outcome) (increase(${METRIC.jobs}[1h]))`,
                legend: '{{thalamus_outcome}}',
              },
            ],
          },
          {
            title: 'Duration of a job',
            unit: 's',
            width: 12,
            description: 'How long workers held the jobs that they ended, by kind; a rate over an hour.',
            queries: [
              {
                expr: `sum by (thalamus_job_kind) (increase(${METRIC.jobDuration}_sum[1h])) / sum by (thalamus_job_kind) (increase(${METRIC.jobDuration}_count[1h]))`,
                legend: '{{thalamus_job_kind}} mean',
              },
            ],
          },
        ],
      },
    ],
  }),
  dashboard({
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
  }),
];

const summary = (text, description) => ({ summary: text, description });

/** Prometheus alert rules. Rates are over five minutes unless said otherwise. */
export const ALERTS = [
  {
    alert: 'ThalamusRequestsFailing',
    expr: `sum(rate(${METRIC.requests}${failed}[5m])) / sum(rate(${METRIC.requests}[5m])) > 0.05`,
    for: '5m',
    labels: { severity: 'page' },
    annotations: summary(
      'More than 5 % of requests fail',
      'Share of failing requests: {{ $value | humanizePercentage }}. See which code grows on the mesh overview.',
    ),
  },
  {
    alert: 'ThalamusRouterSlow',
    expr: `histogram_quantile(0.95, sum by (le) (rate(${METRIC.decisionDuration}_bucket[5m]))) > 0.25`,
    for: '10m',
    labels: { severity: 'ticket' },
    annotations: summary(
      'Routing takes long',
      'p95 of a decision is {{ $value | humanizeDuration }}. Add router replicas, or look for a busy neighbour.',
    ),
  },
  {
    alert: 'ThalamusInferenceProcessRestarts',
    expr: `sum by (instance) (increase(${METRIC.childRestarts}[15m])) > 2`,
    labels: { severity: 'page' },
    annotations: summary(
      'An inference process keeps dying',
      'The inference process of {{ $labels.instance }} died {{ $value }} times in 15 minutes. Its log names the reason and the version that was loading.',
    ),
  },
  {
    alert: 'ThalamusOutcomesNotPublished',
    expr: `${METRIC.spoolRecords} > 1000`,
    for: '5m',
    labels: { severity: 'ticket' },
    annotations: summary(
      'Outcomes wait for the bus',
      '{{ $value }} records wait on {{ $labels.instance }}. Is Kafka reachable? At 10,000 the oldest are dropped.',
    ),
  },
  {
    alert: 'ThalamusOutcomesDropped',
    expr: `increase(${METRIC.spoolDropped}[15m]) > 0`,
    labels: { severity: 'page' },
    annotations: summary(
      'Outcomes were dropped',
      '{{ $labels.instance }} dropped {{ $value }} records because its spool was full.',
    ),
  },
  {
    alert: 'ThalamusJobsFail',
    expr: `sum by (thalamus_job_kind) (increase(${METRIC.jobs}{thalamus_outcome="FAILED"}[30m])) > 2`,
    labels: { severity: 'ticket' },
    annotations: summary(
      'Jobs of one kind keep failing',
      '{{ $value | printf "%.0f" }} jobs of the kind {{ $labels.thalamus_job_kind }} failed in 30 minutes. "thalamus jobs list" shows them with their error codes.',
    ),
  },
  {
    alert: 'ThalamusJobsWait',
    expr: `sum(${METRIC.jobsOpen}{thalamus_job_state="QUEUED"}) * (sum(${METRIC.jobsOpen}{thalamus_job_state="RUNNING"}) == bool 0) > 0`,
    for: '10m',
    labels: { severity: 'ticket' },
    annotations: summary(
      'Jobs wait and none runs',
      '{{ $value }} jobs wait. Is a worker up, and does it take jobs of their kind?',
    ),
  },
  {
    alert: 'ThalamusDeadLetters',
    expr: `sum by (messaging_destination_name) (increase(${METRIC.deadLetters}[15m])) > 0`,
    labels: { severity: 'ticket' },
    annotations: summary(
      'Records were given up',
      '{{ $value }} records of {{ $labels.messaging_destination_name }} went to its dead-letter topic. "thalamus events tail" shows them with their error codes.',
    ),
  },
];
