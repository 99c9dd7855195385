// Alerts of the mesh, as Prometheus rules.
import { failed } from './failed-requests.mjs';
import { METRIC } from './metric-names.mjs';
import { RELEASE_ALERTS } from './release-alerts.mjs';

const summary = (text, description) => ({ summary: text, description });

const lossesOf = (metric, part) => `sum by (thalamus_task) (increase(${metric}_${part}[6h]))`;

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
    alert: 'ThalamusRouterAbstains',
    // A task that nobody was ever chosen for has no series of routed decisions: that counts as none.
    expr: `1 - (sum by (thalamus_task) (rate(${METRIC.decisions}{thalamus_outcome="routed"}[15m])) or 0 * sum by (thalamus_task) (rate(${METRIC.decisions}[15m]))) / sum by (thalamus_task) (rate(${METRIC.decisions}[15m])) > 0.5`,
    for: '15m',
    labels: { severity: 'ticket' },
    annotations: summary(
      'Most prompts find no expert',
      '{{ $value | humanizePercentage }} of the decisions for {{ $labels.thalamus_task }} chose nobody. The board of the router tells prompts out of scope from filters that nobody passes: look at policies and limits, or train a router on such prompts.',
    ),
  },
  {
    alert: 'ThalamusRouterMiscalibrated',
    // Of fewer than fifty answers the mean says little: they count as calibrated.
    expr: `abs(${lossesOf(METRIC.observedLoss, 'sum')} - ${lossesOf(METRIC.predictedLoss, 'sum')}) / ${lossesOf(METRIC.observedLoss, 'count')} * (${lossesOf(METRIC.observedLoss, 'count')} > bool 50) > 0.2`,
    for: '30m',
    labels: { severity: 'ticket' },
    annotations: summary(
      'Predicted losses are not what is observed',
      'Within six hours, losses for {{ $labels.thalamus_task }} were {{ $value | printf "%.2f" }} off what the router predicted, on average. See the board of the router; train the router anew on measured prompts of this kind.',
    ),
  },
  {
    alert: 'ThalamusExpertDrifted',
    expr: `sum by (thalamus_expert_name) (increase(${METRIC.driftAlarms}{thalamus_expert_name!=""}[1h])) > 0`,
    labels: { severity: 'ticket' },
    annotations: summary(
      'An expert does worse than predicted',
      'Losses of {{ $labels.thalamus_expert_name }} are above what the router model predicts. Corrections move traffic away within their bound; compare its versions, or train the router anew.',
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
    alert: 'ThalamusInferenceProcessesExchanged',
    expr: `sum by (instance) (increase(${METRIC.childRecycles}[1h])) > 6`,
    labels: { severity: 'ticket' },
    annotations: summary(
      'Inference processes keep memory',
      '{{ $labels.instance }} exchanged {{ $value | printf "%.0f" }} inference processes in an hour. Its log names the models; raise THALAMUS_CHILD_MEMORY_SLACK when their runs need that much.',
    ),
  },
  {
    alert: 'ThalamusHostQueueLong',
    expr: `histogram_quantile(0.95, sum by (le, instance) (rate(${METRIC.queueDuration}_bucket[5m]))) > 1`,
    for: '10m',
    labels: { severity: 'ticket' },
    annotations: summary(
      'Texts wait long for a host',
      'p95 of the wait on {{ $labels.instance }} is {{ $value | humanizeDuration }}. Add hosts, or see which expert grew on the board of the hosts.',
    ),
  },
  {
    alert: 'ThalamusHostQueueStands',
    expr: `min_over_time(${METRIC.queueDepth}[5m]) > 64`,
    for: '5m',
    labels: { severity: 'page' },
    annotations: summary(
      'The queue of a host does not empty',
      'For ten minutes never fewer than {{ $value }} texts have waited on {{ $labels.instance }}: more comes than it can answer. Add hosts, or limit who sends most.',
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
  ...RELEASE_ALERTS,
];
