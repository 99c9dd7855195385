// Experts that are composed of others: how many, how long each takes to be made, and what it loses.
import { dashboard } from '../grafana.mjs';
import { METRIC } from '../metric-names.mjs';

const METHOD = 'thalamus_merge_method';
/** Compositions are rare: means and quantiles are of all since the composer started. */
const largest = (q, metric) => `histogram_quantile(${q}, sum by (le, ${METHOD}) (${metric}_bucket))`;

export const compositionsBoard = dashboard({
  uid: 'thalamus-compositions',
  title: 'Thalamus / Compositions',
  description: 'Experts that are composed of others: how many, how long each takes, and what it loses.',
  rows: [
    {
      title: 'Composing',
      panels: [
        {
          title: 'Recipes that were run',
          stack: true,
          width: 12,
          description:
            'In the last hour, by outcome: made, found (made before), tried (not to be registered), or the code of the error.',
          queries: [
            {
              expr: `sum by (thalamus_outcome) (increase(${METRIC.compositionRuns}[1h]))`,
              legend: '{{thalamus_outcome}}',
            },
          ],
        },
        {
          title: 'Asked for in requests',
          stack: true,
          width: 12,
          description:
            'Requests for compose:a+b in the last hour, by what answered: the composition (found, built), or its parents, and why.',
          queries: [
            {
              expr: `sum by (thalamus_outcome) (increase(${METRIC.compositions}[1h]))`,
              legend: '{{thalamus_outcome}}',
            },
          ],
        },
      ],
    },
    {
      title: 'What they take and lose',
      panels: [
        {
          title: 'Duration of a composition',
          unit: 's',
          width: 12,
          description:
            'Mean time to make one, without the wait for its turn, by method, since the composer started.',
          queries: [
            {
              expr: `sum by (${METHOD}) (${METRIC.compositionDuration}_sum) / sum by (${METHOD}) (${METRIC.compositionDuration}_count)`,
              legend: `{{${METHOD}}} mean`,
            },
          ],
        },
        {
          title: 'Lost at the worst task',
          unit: 'percentunit',
          width: 12,
          description:
            'Share of right answers that compositions lose at the task that each does worst at, by method, since the composer started.',
          queries: [
            { expr: largest(0.5, METRIC.compositionWorstLoss), legend: `{{${METHOD}}} p50` },
            { expr: largest(0.95, METRIC.compositionWorstLoss), legend: `{{${METHOD}}} p95` },
          ],
        },
      ],
    },
  ],
});
