// Updates on their way: where releases stand, who gets the candidate, what is mirrored, and what is taken back.
import { dashboard } from '../grafana.mjs';
import { METRIC, rate } from '../metric-names.mjs';

const STATE = 'thalamus_release_state';
const EXPERT = 'thalamus_expert_name';
const COMPARED = '{thalamus_outcome=~"agreed|differed"}';

export const releasesBoard = dashboard({
  uid: 'thalamus-releases',
  title: 'Thalamus / Releases',
  description:
    'Updates on their way: where releases stand, who gets the candidate, what is mirrored, and what is taken back.',
  rows: [
    {
      title: 'Where they stand',
      panels: [
        {
          title: 'Live releases',
          stack: true,
          width: 8,
          description:
            'Releases that may still change what callers get, by state, as the elected updater sees them.',
          queries: [{ expr: `sum by (${STATE}) (${METRIC.releasesLive})`, legend: `{{${STATE}}}` }],
        },
        {
          title: 'Weight of candidates',
          unit: 'percentunit',
          width: 8,
          description:
            'Share of the callers of an expert who get the candidate of its live release. 0 in shadow.',
          queries: [{ expr: `max by (${EXPERT}) (${METRIC.releaseWeight})`, legend: `{{${EXPERT}}}` }],
        },
        {
          title: 'Taken back',
          stack: true,
          width: 8,
          description:
            'Releases that were rolled back in the last hour: by the gate because a limit was broken, or by a person.',
          queries: [
            {
              expr: `sum by (thalamus_reason) (increase(${METRIC.releaseTransitions}{${STATE}="ROLLED_BACK"}[1h]))`,
              legend: 'by {{thalamus_reason}}',
            },
          ],
        },
        {
          title: 'Steps',
          stack: true,
          width: 12,
          description: 'States that releases came to in the last hour, by who moved them.',
          queries: [
            {
              expr: `sum by (${STATE}, thalamus_reason) (increase(${METRIC.releaseTransitions}[1h])) > 0`,
              legend: `{{${STATE}}} by {{thalamus_reason}}`,
            },
          ],
        },
        {
          title: 'From alarm to roll-back',
          unit: 's',
          width: 12,
          description:
            'Time from a broken limit to the roll-back standing in the registry, of all since the updater started.',
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le) (${METRIC.releaseReactionDuration}_bucket))`,
              legend: 'p95',
            },
            {
              expr: `sum(${METRIC.releaseReactionDuration}_sum) / sum(${METRIC.releaseReactionDuration}_count)`,
              legend: 'mean',
            },
          ],
        },
      ],
    },
    {
      title: 'What candidates do',
      panels: [
        {
          title: 'Mirrored requests',
          stack: true,
          width: 12,
          description:
            'Per second, by outcome: both versions agreed or differed, the code of the error, or why one was dropped.',
          queries: [{ expr: rate(METRIC.mirrored, 'thalamus_outcome'), legend: '{{thalamus_outcome}}' }],
        },
        {
          title: 'Flips of mirrored requests',
          unit: 'percentunit',
          width: 12,
          description:
            'Share of compared requests that the candidate answers differently, by expert. Which of them were right before, feedback says.',
          queries: [
            {
              expr: `${rate(METRIC.mirrored, EXPERT, '{thalamus_outcome="differed"}')} / ${rate(METRIC.mirrored, EXPERT, COMPARED)}`,
              legend: `{{${EXPERT}}}`,
            },
          ],
        },
        {
          title: 'Failures of candidates',
          stack: true,
          width: 12,
          description:
            'Requests per second that the candidate failed, so that the stable version was asked, by code. No caller sees them.',
          queries: [
            {
              expr: rate(METRIC.candidateFailures, `${EXPERT}, thalamus_outcome`),
              legend: `{{${EXPERT}}} {{thalamus_outcome}}`,
            },
          ],
        },
        {
          title: 'Waiting to be mirrored',
          width: 6,
          description: 'Answered requests that wait for a candidate, by gateway.',
          queries: [{ expr: METRIC.mirrorQueue, legend: '{{instance}}' }],
        },
        {
          title: 'Evidence',
          stack: true,
          width: 6,
          description: 'Events per second that the elected updater reads for live releases.',
          queries: [
            { expr: rate(METRIC.releaseEvidence, 'thalamus_outcome'), legend: '{{thalamus_outcome}}' },
          ],
        },
        {
          title: 'Probes',
          stack: true,
          width: 6,
          description:
            'Labelled probes per second, by what both versions said: lost ones speak against the candidate; later and dropped ones could not be asked.',
          queries: [{ expr: rate(METRIC.releaseProbes, 'thalamus_outcome'), legend: '{{thalamus_outcome}}' }],
        },
      ],
    },
  ],
});
