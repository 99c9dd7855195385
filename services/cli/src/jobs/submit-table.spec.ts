import { create, type JsonObject } from '@bufbuild/protobuf';
import type { Digest } from '@thalamus/bundle';
import { jobV1 } from '@thalamus/contracts';
import { expect, it } from 'vitest';
import type { JobClient } from './job-client.js';
import { submitTable, type WantedTable } from './submit-table.js';

const { JobState } = jobV1;
const RUN: Digest = `sha256:${'1'.repeat(64)}`;
const WANTED: WantedTable = {
  run: RUN,
  task: 'fill-mask',
  experts: ['a@1', 'b@2'],
  dataset: 'p@1',
  base: undefined,
  parts: 2,
  masks: 4,
  seed: 0,
};

/** A job table that knows jobs by their keys. */
function jobTable() {
  const stored = new Map<string, jobV1.Job>();
  const requests: Parameters<JobClient['submit']>[0][] = [];
  const submit = (request: Parameters<JobClient['submit']>[0]) => {
    const key = request.idempotencyKey ?? '';
    const known = stored.get(key);
    if (known) return Promise.resolve({ job: known });
    requests.push(request);
    const job = create(jobV1.JobSchema, { id: `job-${requests.length}`, state: JobState.QUEUED });
    stored.set(key, job);
    return Promise.resolve({ job });
  };
  const end = (id: string, state: jobV1.JobState, result: JsonObject = {}) => {
    for (const [key, job] of stored) if (job.id === id) stored.set(key, { ...job, state, result });
  };
  return { client: { submit } as unknown as JobClient, requests, end };
}

const ids = (jobs: readonly jobV1.Job[]) => jobs.map(({ id }) => id);

it('submits a job for each part', async () => {
  const { client, requests } = jobTable();
  expect(ids(await submitTable(client, WANTED))).toEqual(['job-1', 'job-2']);
  expect(requests.map(({ kind, parameters }) => ({ kind, parameters }))).toEqual(
    [1, 2].map((part) => ({
      kind: 'loss-table',
      parameters: { experts: ['a@1', 'b@2'], dataset: 'p@1', parts: 2, part, masks: 4, seed: 0 },
    })),
  );
  await submitTable(client, { ...WANTED, task: 'text-classification', base: 'm@1' });
  expect(requests[2]?.parameters).toEqual({
    experts: ['a@1', 'b@2'],
    dataset: 'p@1',
    parts: 2,
    part: 1,
    base: 'm@1',
  });
});

it('finds the jobs of the same figures again, and begins those anew that did not end well', async () => {
  const { client, end } = jobTable();
  await submitTable(client, WANTED);
  end('job-1', JobState.SUCCEEDED, { run: RUN });
  expect(ids(await submitTable(client, WANTED))).toEqual(['job-1', 'job-2']);
  end('job-2', JobState.FAILED);
  expect(ids(await submitTable(client, WANTED))).toEqual(['job-1', 'job-3']);
  end('job-3', JobState.CANCELLED);
  expect(ids(await submitTable(client, WANTED))).toEqual(['job-1', 'job-4']);
  // A worker of another version measured it.
  end('job-4', JobState.SUCCEEDED, { run: 'sha256:other' });
  expect(ids(await submitTable(client, WANTED))).toEqual(['job-1', 'job-5']);
  expect(ids(await submitTable(client, { ...WANTED, dataset: 'renamed@1' }))).toEqual(['job-1', 'job-5']);
});

it('takes no job of other figures, or of other parts', async () => {
  const { client } = jobTable();
  const seen = new Set<string>();
  const others: Partial<WantedTable>[] = [
    {},
    { run: `sha256:${'2'.repeat(64)}` },
    { parts: 3 },
    { base: 'm@1' },
  ];
  for (const other of others)
    for (const id of ids(await submitTable(client, { ...WANTED, ...other }))) seen.add(id);
  expect(seen.size).toBe(2 * 3 + 3);
});
