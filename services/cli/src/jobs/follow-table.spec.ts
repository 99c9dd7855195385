import { create, type JsonObject } from '@bufbuild/protobuf';
import { jobV1 } from '@thalamus/contracts';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { followTable, measuredBy } from './follow-table.js';
import type { JobClient } from './job-client.js';

const { JobState } = jobV1;
const EXPERTS = { experts: ['a@1', 'b@1'] };
const job = (
  id: string,
  state: jobV1.JobState,
  more: {
    done?: number;
    stage?: string;
    result?: JsonObject;
    errorCode?: string;
    errorMessage?: string;
  } = {},
) => {
  const { done = 0, stage = 'measuring', ...rest } = more;
  return create(jobV1.JobSchema, {
    id,
    state,
    parameters: EXPERTS,
    progress: { stage, done: BigInt(done), total: 20n },
    ...rest,
  });
};
const running = (id: string, done: number) => job(id, JobState.RUNNING, { done });
const ended = (id: string) => job(id, JobState.SUCCEEDED, { done: 3, result: { rows: { measured: 10 } } });

let said = '';
beforeEach(() => {
  said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** A client whose jobs go through these states; after the last one a watch waits until it is left. */
function clientOf(states: Readonly<Record<string, readonly jobV1.Job[]>>): JobClient {
  async function* watch({ id }: { id: string }, { signal }: { signal: AbortSignal }) {
    for (const state of states[id] ?? []) {
      yield { job: state };
      await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise<void>((_, reject) => {
      const leave = () => {
        reject(new Error('left'));
      };
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave, { once: true });
    });
  }
  return { watch } as unknown as JobClient;
}
const follow = (states: Readonly<Record<string, readonly jobV1.Job[]>>) =>
  followTable(clientOf(states), {
    jobs: Object.keys(states).map((id) => job(id, JobState.QUEUED)),
    total: 40,
    json: false,
  });

it('counts what jobs have measured, whatever stage they are in', () => {
  expect(measuredBy(running('x', 7))).toBe(7);
  expect(measuredBy(job('x', JobState.RUNNING, { stage: 'fetching', done: 9 }))).toBe(0);
  expect(measuredBy(ended('x'))).toBe(20);
  expect(measuredBy(create(jobV1.JobSchema, { state: JobState.QUEUED }))).toBe(0);
});

it('shows all jobs as one, and gives them in their order', async () => {
  const jobs = await follow({
    x: [running('x', 4), running('x', 20), ended('x')],
    y: [running('y', 8), ended('y')],
  });
  expect(jobs?.map(({ id }) => id)).toEqual(['x', 'y']);
  expect(said).toMatch(/measuring {2}4\/40[^]*measuring {2}12\/40[^]*measuring {2}40\/40/);
});

it('ends with the error of a job that failed, and says what becomes of the others', async () => {
  const failed = job('x', JobState.FAILED, { errorCode: 'GRAPH_INVALID', errorMessage: 'No graph.' });
  await expect(follow({ x: [failed], y: [running('y', 1)] })).rejects.toMatchObject({
    code: 'GRAPH_INVALID',
    message: expect.stringMatching(
      /^No graph\. The other jobs .* begins this part \(job x\) anew\.$/,
    ) as string,
  });
});

it('leaves the jobs to themselves on Ctrl-C, and says how to go on', async () => {
  const following = follow({ x: [running('x', 1)], y: [ended('y')] });
  await vi.waitFor(() => expect(said).toContain('measuring'));
  process.emit('SIGINT');
  expect(await following).toBeUndefined();
  expect(said).toMatch(/Interrupted; the 2 jobs of the table go on .*Run the same command again/);
  expect(process.exitCode).toBe(130);
});
