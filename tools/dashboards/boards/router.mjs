// How fast and how decidedly prompts are routed.
import { dashboard } from '../grafana.mjs';
import { METRIC, quantile, rate } from '../metric-names.mjs';

/** Mean of a histogram of losses, by task: losses of two tasks may have two units. */
const meanOf = (metric) =>
  `${rate(`${metric}_sum`, 'thalamus_task')} / ${rate(`${metric}_count`, 'thalamus_task')}`;

export const routerBoard = dashboard({
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
          description:
            'Decisions: routed, out of scope (no expert is known to fit), or abstained (none passed the filters).',
          queries: [{ expr: rate(METRIC.decisions, 'thalamus_outcome'), legend: '{{thalamus_outcome}}' }],
        },
        {
          title: 'Chosen experts',
          unit: 'reqps',
          width: 6,
          stack: true,
          description: 'Decisions by the expert that was chosen.',
          queries: [
            {
              expr: rate(METRIC.decisions, 'thalamus_expert_name', '{thalamus_outcome="routed"}'),
              legend: '{{thalamus_expert_name}}',
            },
          ],
        },
        {
          title: 'Share without an expert',
          unit: 'percentunit',
          width: 6,
          description:
            'Share of decisions that chose nobody: prompts out of scope, and filters that nobody passed.',
          queries: [
            {
              expr: `1 - (${rate(METRIC.decisions, 'thalamus_task', '{thalamus_outcome="routed"}')} or 0 * ${rate(METRIC.decisions, 'thalamus_task')}) / ${rate(METRIC.decisions, 'thalamus_task')}`,
              legend: '{{thalamus_task}}',
            },
          ],
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
    {
      title: 'What outcomes teach',
      panels: [
        {
          title: 'Feedback',
          unit: 'reqps',
          stack: true,
          width: 6,
          description: 'Feedback that the elected corrector has read, by what became of it.',
          queries: [{ expr: rate(METRIC.routeOutcomes, 'thalamus_outcome'), legend: '{{thalamus_outcome}}' }],
        },
        {
          title: 'Predicted and observed loss',
          unit: 'short',
          width: 6,
          description:
            'Mean loss that was predicted for answers which feedback was given on, and mean loss that the feedback says. They run together while the router is calibrated.',
          queries: [
            { expr: meanOf(METRIC.predictedLoss), legend: '{{thalamus_task}}, predicted' },
            { expr: meanOf(METRIC.observedLoss), legend: '{{thalamus_task}}, observed' },
          ],
        },
        {
          title: 'Corrections',
          unit: 'short',
          width: 6,
          description: 'Experts and regions whose predictions are corrected, by replica.',
          queries: [{ expr: METRIC.corrections, legend: '{{instance}}' }],
        },
        {
          title: 'Drift',
          unit: 'short',
          width: 6,
          description: 'Experts that were found to do worse than predicted, within an hour.',
          queries: [
            {
              expr: `sum by (thalamus_expert_name) (increase(${METRIC.driftAlarms}[1h]))`,
              legend: '{{thalamus_expert_name}}',
            },
          ],
        },
      ],
    },
  ],
});
