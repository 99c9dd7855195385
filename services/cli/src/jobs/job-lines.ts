import { timestampDate } from '@bufbuild/protobuf/wkt';
import { jobV1 } from '@thalamus/contracts';

const { JobState } = jobV1;

/** A job as plain JSON: numbers as numbers, times as ISO 8601. */
export function jobJson(job: jobV1.Job): Record<string, unknown> {
  const { progress, checkpoint } = job;
  const time = (at: jobV1.Job['createdAt']) => (at ? timestampDate(at).toISOString() : null);
  return {
    id: job.id,
    kind: job.kind,
    state: stateName(job.state),
    attempt: job.attempt,
    worker: job.worker,
    cancelRequested: job.cancelRequested,
    parameters: job.parameters ?? {},
    inputs: job.inputs.map(({ name, digest }) => ({ name, digest })),
    outputs: job.outputs.map(({ name, digest }) => ({ name, digest })),
    checkpoint: checkpoint ? { name: checkpoint.name, digest: checkpoint.digest } : null,
    progress: progress
      ? {
          stage: progress.stage,
          done: Number(progress.done),
          total: Number(progress.total),
          etaMs: Number(progress.etaMs),
          ...(progress.loss === undefined ? {} : { loss: progress.loss }),
        }
      : null,
    result: job.result ?? null,
    error: job.errorCode === '' ? null : { code: job.errorCode, message: job.errorMessage },
    createdAt: time(job.createdAt),
    updatedAt: time(job.updatedAt),
  };
}

/** succeeded, running, … */
export function stateName(state: jobV1.JobState): string {
  return JobState[state].toLowerCase();
}

/** What a job works on, in a few words. */
export function subjectOf(job: jobV1.Job): string {
  const text = (key: string) => {
    const value = job.parameters?.[key];
    return typeof value === 'string' ? value : '';
  };
  const experts = job.parameters?.['experts'];
  if (Array.isArray(experts)) {
    const number = (key: string) => Number(job.parameters?.[key] ?? 0);
    return `${experts.length} experts on ${text('dataset')}, part ${number('part')} of ${number('parts')}`;
  }
  if (text('from') !== '') return `${text('to')} against ${text('from')} on ${text('dataset')}`;
  const version = text('version') === '' ? '' : `@${text('version')}`;
  return `${text('expert')}${version} on ${text('dataset')}`;
}

/** Where a job stands, in a few words. */
export function standingOf(job: jobV1.Job): string {
  if (job.errorCode !== '' && job.state === JobState.QUEUED) return `waits after ${job.errorCode}`;
  if (job.state !== JobState.RUNNING || !job.progress) return '';
  const { stage, done, total } = job.progress;
  return [total > 0n ? `${stage} ${done}/${total}` : stage, lossOf(job)].filter(Boolean).join(', ');
}

/** The loss of a job that trains, in words; empty for others. */
export function lossOf({ progress }: jobV1.Job): string {
  return progress?.loss === undefined ? '' : `loss ${progress.loss.toFixed(3)}`;
}

/** Milliseconds as people say them: 8 s, 3 min, 2 h. */
export function duration(ms: number): string {
  if (ms < 90_000) return `${Math.ceil(ms / 1000)} s`;
  return ms < 5_400_000 ? `${Math.ceil(ms / 60_000)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}
