import { create } from '@bufbuild/protobuf';
import { jobV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { succeeded } from './follow-job.js';
import { duration, jobJson, standingOf } from './job-lines.js';
import { progressView } from './job-progress.js';

const { JobState } = jobV1;
const job = (fields: object) => create(jobV1.JobSchema, { id: 'j', kind: 'train', ...fields });
const running = (stage: string, done: number, total: number) =>
  job({ state: JobState.RUNNING, progress: { stage, done: BigInt(done), total: BigInt(total) } });

function pipe() {
  const written: string[] = [];
  return { written, write: (text: string) => written.push(text) };
}

describe('progress in a pipe', () => {
  it('is a line for each new stage and each tenth', () => {
    const target = pipe();
    const view = progressView(false, target);
    view.show(job({ state: JobState.QUEUED }));
    for (let done = 0; done <= 100; done += 2) view.show(running('embedding', done, 100));
    view.show(running('fitting', 0, 0));
    view.show(job({ state: JobState.SUCCEEDED }));
    expect(target.written).toHaveLength(1 + 11 + 1 + 1);
    expect(target.written.slice(0, 3)).toEqual([
      'j queued\n',
      'j running embedding 0/100\n',
      'j running embedding 10/100\n',
    ]);
    expect(target.written.at(-2)).toBe('j running fitting\n');
  });

  it('is nothing at all beside JSON', () => {
    const target = pipe();
    progressView(true, target).show(running('embedding', 1, 2));
    expect(target.written).toEqual([]);
  });
});

describe('a job in words', () => {
  it('says why a job waits', () => {
    expect(standingOf(job({ state: JobState.QUEUED, errorCode: 'EXPERT_CRASHED' }))).toBe(
      'waits after EXPERT_CRASHED',
    );
  });

  it.each([
    [300, '1 s'],
    [59_200, '60 s'],
    [120_000, '2 min'],
    [7_200_000, '2.0 h'],
  ])('says %i ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it('is JSON without a bigint', () => {
    const value = JSON.parse(JSON.stringify(jobJson(running('embedding', 1, 2)))) as object;
    expect(value).toMatchObject({
      state: 'running',
      progress: { stage: 'embedding', done: 1, total: 2 },
      error: null,
    });
  });
});

describe('the end of a job', () => {
  it('is its own error when it failed, CANCELLED when somebody cancelled it', () => {
    const failed = job({ state: JobState.FAILED, errorCode: 'DATASET_INVALID', errorMessage: 'line 3' });
    expect(() => succeeded(failed)).toThrow(
      expect.objectContaining({ code: 'DATASET_INVALID', message: 'line 3' }),
    );
    expect(() => succeeded(job({ state: JobState.CANCELLED }))).toThrow(
      expect.objectContaining({ code: 'CANCELLED' }),
    );
    expect(succeeded(job({ state: JobState.SUCCEEDED })).id).toBe('j');
  });
});
