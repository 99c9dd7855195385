// Training, evaluation and the other long work: what waits, what runs, how it ends.
import { dashboard } from '../grafana.mjs';
import { METRIC } from '../metric-names.mjs';

export const jobsBoard = dashboard({
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
});
