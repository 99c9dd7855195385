import { create } from '@bufbuild/protobuf';
import { jobV1, TOPICS } from '@thalamus/contracts';
import { EmbeddedEventBus, topicSpec } from '@thalamus/events';
import { localContext } from '@thalamus/grpc';
import { RegistryView } from '@thalamus/registry';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { JobTable } from '../../application/job-table.js';
import { SubmitJob } from '../../application/submit-job.js';
import { JobGrpcService } from './job.service.js';

const { JobState } = jobV1;
let folder: string;
let bus: EmbeddedEventBus;
let table: JobTable;
let service: JobGrpcService;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'thalamus-job-service-'));
  bus = new EmbeddedEventBus({ file: join(folder, 'events.sqlite'), pollMs: 5 });
  await bus.start();
  await bus.ensureTopics([topicSpec(TOPICS.jobChanged), topicSpec(TOPICS.registryState)]);
  const writer = {
    isLeader: true,
    requireLeader: () => undefined,
    append: async (records: Parameters<EmbeddedEventBus['publish']>[0]) => {
      await bus.publish(records);
    },
  };
  table = new JobTable(bus, writer);
  await table.start();
  const view = new RegistryView(bus);
  await view.start();
  service = new JobGrpcService(table, new SubmitJob(table, view));
});

afterEach(async () => {
  await table.close();
  await bus.close();
  rmSync(folder, { recursive: true, force: true });
});

const submitted = () => table.submit(create(jobV1.SubmitRequestSchema, { kind: 'train' }));
const claimRequest = (waitMs: number) =>
  create(jobV1.ClaimRequestSchema, { worker: 'w', kinds: ['train'], leaseMs: 5_000, waitMs });

it('watches a job to its end, also when the watcher is slower than the changes', async () => {
  const { id } = await submitted();
  const stream = service
    .watch(create(jobV1.WatchRequestSchema, { id }), localContext())
    [Symbol.asyncIterator]();
  expect((await stream.next()).value).toMatchObject({ job: { state: JobState.QUEUED } });
  // Everything happens while the watcher does not ask: the last state must still reach it.
  const { token } = (await table.claim('w', ['train'], 5_000))!;
  await table.finish(create(jobV1.FinishRequestSchema, { id, token, state: JobState.SUCCEEDED }));
  const states: (jobV1.JobState | undefined)[] = [];
  for (let next = await stream.next(); !next.done; next = await stream.next())
    states.push(next.value.job?.state);
  expect(states.at(-1)).toBe(JobState.SUCCEEDED);
});

it('ends a watch whose caller went away', async () => {
  const { id } = await submitted();
  const controller = new AbortController();
  const stream = service.watch(
    create(jobV1.WatchRequestSchema, { id }),
    localContext({ signal: controller.signal }),
  );
  const seen: unknown[] = [];
  for await (const answer of stream) {
    seen.push(answer);
    controller.abort();
  }
  expect(seen).toHaveLength(1);
});

it('ends watches and waiting claims when the server drains', async () => {
  const drainer = new AbortController();
  const context = localContext({ draining: drainer.signal });
  const { id } = await table.submit(create(jobV1.SubmitRequestSchema, { kind: 'evaluate' }));
  const claiming = service.claim(claimRequest(20_000), context);
  const stream = service.watch(create(jobV1.WatchRequestSchema, { id }), context)[Symbol.asyncIterator]();
  await stream.next();
  const waiting = stream.next();
  drainer.abort();
  expect(await claiming).toEqual({});
  expect((await waiting).done).toBe(true);
});

it('lets a claim wait for a job that comes later', async () => {
  const waiting = service.claim(claimRequest(20_000), localContext());
  const { id } = await submitted();
  expect(await waiting).toMatchObject({ job: { id }, token: 1n });
});

it('gives a job back whose claimer went away while it was being claimed', async () => {
  const controller = new AbortController();
  const { id } = await submitted();
  const waiting = service.claim(claimRequest(20_000), localContext({ signal: controller.signal }));
  controller.abort();
  expect(await waiting).toEqual({});
  expect(table.get(id)).toMatchObject({ state: JobState.QUEUED, attempt: 0 });
});

it.each([
  [{ kind: 'dance' }, 'kind'],
  [{ kind: 'compose' }, 'kind'],
  [{ kind: 'train', parameters: {} }, 'parameters.expert'],
  [{ kind: 'train', parameters: { expert: 'a', dataset: 'x@1', colour: 'red' } }, 'parameters.colour'],
  [{ kind: 'train', parameters: { expert: 'A!', dataset: 'x@1' } }, 'parameters.expert'],
  [{ kind: 'evaluate', parameters: { expert: 'a', dataset: 'x' } }, 'parameters.dataset'],
])('refuses %j, naming the field', async (fields, field) => {
  const request = create(jobV1.SubmitRequestSchema, fields as never);
  const fault = await service.submit(request).catch((error: unknown) => error);
  expect(fault).toMatchObject({ code: 'REQUEST_INVALID' });
  expect(
    (fault as { violations: { field: string }[] }).violations.map((violation) => violation.field),
  ).toContain(field);
  expect(table.list('', JobState.UNSPECIFIED)).toEqual([]);
});

it('refuses an end that is none, and pages that it never gave', async () => {
  const finish = create(jobV1.FinishRequestSchema, { id: 'x', token: 1n, state: JobState.RUNNING });
  await expect(service.finish(finish)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  const page = create(jobV1.ListRequestSchema, { pageToken: '-1' });
  await expect(service.list(page)).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
});
