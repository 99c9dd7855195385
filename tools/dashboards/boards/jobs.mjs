// Training, evaluation and the other long work: what waits, what runs, how it ends.
import { dashboard } from '../grafana.mjs';
import { METRIC, quantile, rate } from '../metric-names.mjs';

const METHOD = 'thalamus_training_method';

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
          description: 'Jobs that came to an end in the last hour, by kind and by how.',
          queries: [
            {
              expr: `sum by (thalamus_job_kind, thalamus_outcome) (increase(${METRIC.jobs}[1h]))`,
              legend: '{{thalamus_job_kind}} {{thalamus_outcome}}',
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
    {
      title: 'Training of more than a head',
      panels: [
        {
          title: 'Tokens learned from, a second',
          stack: true,
          width: 6,
          description: 'Tokens that steps of training took, padding left out, by method.',
          queries: [{ expr: rate(METRIC.trainingTokens, METHOD), legend: '{{thalamus_training_method}}' }],
        },
        {
          title: 'Duration of a step',
          unit: 's',
          width: 6,
          description: 'Forward, backward and the update of one step; neither validations nor checkpoints.',
          queries: [
            {
              expr: quantile(0.5, METRIC.trainingStepDuration, METHOD),
              legend: '{{thalamus_training_method}} p50',
            },
            {
              expr: quantile(0.95, METRIC.trainingStepDuration, METHOD),
              legend: '{{thalamus_training_method}} p95',
            },
          ],
        },
        {
          title: 'Loss at the last validation',
          width: 6,
          description:
            'In nats, of the training that each worker runs. It should fall from one validation to the next.',
          queries: [
            { expr: METRIC.trainingValidationLoss, legend: '{{instance}} {{thalamus_training_method}}' },
          ],
        },
        {
          title: 'Age of the checkpoint',
          unit: 's',
          width: 6,
          description: 'Time since a training was last stored: what is lost when its worker dies.',
          queries: [
            { expr: METRIC.trainingCheckpointAge, legend: '{{instance}} {{thalamus_training_method}}' },
          ],
        },
      ],
    },
  ],
});
