import { JOB_ARTIFACTS } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import type {
  CheckpointRole,
  JobProcessReply,
  JobProcessRequest,
  JobWork,
  WorkResult,
} from '../application/job-process.port.js';
import { CheckpointRequests } from './checkpoint-requests.js';
import { evaluateExpert } from './evaluate-expert.js';
import { Features } from './features.js';
import { measureLosses } from './measure-losses.js';
import { repairVersion } from './repair-version.js';
import { trainExpert } from './train-expert.js';
import { TrainingReports } from './training-reports.js';
import { WorkReporter } from './work-reporter.js';

/** The process of one job. It does one piece of work, tells how it ended, and ends with its worker. */
const send = (reply: JobProcessReply) =>
  new Promise<void>((resolve) => {
    if (process.send) process.send(reply, undefined, undefined, () => resolve());
    else resolve();
  });
const requests = new CheckpointRequests();

process.on('message', (request: JobProcessRequest) => {
  if (request.kind === 'checkpoint') requests.ask();
  else void run(request.work);
});
process.on('disconnect', () => process.exit(0));
// Signals reach the whole group: the worker decides when this process ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

async function run(work: JobWork): Promise<void> {
  const reporter = new WorkReporter((progress) => void send({ kind: 'progress', progress }));
  const written = (role: CheckpointRole) => () => void send({ kind: 'checkpointed', role });
  const { checkpointFiles } = work.common;
  const features = new Features(
    checkpointFiles.features,
    reporter,
    requests,
    written(JOB_ARTIFACTS.features),
  );
  const training = () => ({
    ...{ features, reporter, requests },
    reports: new TrainingReports((report) => void send({ kind: 'training', report })),
    onCheckpoint: written(JOB_ARTIFACTS.training),
  });
  const resultOf = (): Promise<WorkResult> => {
    switch (work.kind) {
      case 'train':
        return trainExpert(work, training());
      case 'repair':
        return repairVersion(work, training());
      case 'evaluate':
        return evaluateExpert(work, { features, reporter });
      case 'loss-table':
        return measureLosses(work, { reporter, requests, onCheckpoint: written(JOB_ARTIFACTS.losses) });
    }
  };
  try {
    await send({ kind: 'done', result: await resultOf() });
  } catch (fault) {
    const { code, message, cause } = toThalamusError(fault);
    if (code === 'INTERNAL') createLogger('job-process').error({ error: cause }, 'work failed');
    await send({ kind: 'failed', code, message });
  }
  process.exit(0);
}
