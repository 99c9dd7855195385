import { toThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import type {
  JobProcessReply,
  JobProcessRequest,
  JobWork,
  WorkResult,
} from '../application/job-process.port.js';
import { evaluateExpert } from './evaluate-expert.js';
import { Features } from './features.js';
import { trainExpert } from './train-expert.js';
import { WorkReporter } from './work-reporter.js';

/** The process of one job. It does one piece of work, tells how it ended, and ends with its worker. */
const send = (reply: JobProcessReply) =>
  new Promise<void>((resolve) => {
    if (process.send) process.send(reply, undefined, undefined, () => resolve());
    else resolve();
  });
let features: Features | undefined;

process.on('message', (request: JobProcessRequest) => {
  if (request.kind === 'checkpoint') features?.requestCheckpoint();
  else void run(request.work);
});
process.on('disconnect', () => process.exit(0));
// Signals reach the whole group: the worker decides when this process ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

async function run(work: JobWork): Promise<void> {
  const reporter = new WorkReporter((progress) => void send({ kind: 'progress', progress }));
  features = new Features(work.common.featuresFile, reporter, () => void send({ kind: 'checkpointed' }));
  try {
    const result: WorkResult =
      work.kind === 'train'
        ? await trainExpert(work, features, reporter)
        : await evaluateExpert(work, features, reporter);
    await send({ kind: 'done', result });
  } catch (fault) {
    const { code, message, cause } = toThalamusError(fault);
    if (code === 'INTERNAL') createLogger('job-process').error({ error: cause }, 'work failed');
    await send({ kind: 'failed', code, message });
  }
  process.exit(0);
}
