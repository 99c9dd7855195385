import type { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { routerComparison } from './router-comparison.js';
import { RunningUpdater, temporaryFolder } from './running-updater.js';

const folder = temporaryFolder();
let updater: RunningUpdater;
const digests = new Map<string, string>();
let count = 0;
/** Names of the router models of one test: each has a task of its own only by what was active before. */
let first = '';
let second = '';

beforeAll(async () => {
  updater = await RunningUpdater.start(folder.path);
  const base = await updater.store({
    name: 'pico',
    kind: 'full',
    task: 'feature-extraction',
    labels: undefined,
  });
  await updater.clients.registry.registerVersion({ version: { manifestDigest: base } });
  for (const name of ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'])
    digests.set(name, await updater.storeRouterModel(name, base));
}, 60_000);
afterAll(async () => {
  await updater.stop();
  folder.remove();
});

const digestOf = (name: string) => digests.get(name) ?? '';
const register = (
  name: string,
  more: { comparisonDigest?: string; reason?: string; activate?: boolean } = {},
) =>
  updater.clients.registry.registerRouterModel({
    routerModel: { manifestDigest: digestOf(name) },
    activate: true,
    ...more,
  });

async function store(before: string, after: string, lost: number): Promise<string> {
  const report = routerComparison(digestOf(before), digestOf(after), lost);
  return (await updater.clients.artifacts.put(Buffer.from(JSON.stringify(report)))).digest;
}

async function model(name: string): Promise<registryV1.RouterModel> {
  const { resource } = await updater.clients.registry.getResource({ key: `router-model/${name}@1` });
  if (resource?.value.case !== 'routerModel') throw new Error(`${name} is no router model.`);
  return resource.value.value;
}

async function active(): Promise<string[]> {
  const { resources } = await updater.clients.registry.listResources({ kind: 'router-model' });
  return resources.flatMap(({ value }) =>
    value.case === 'routerModel' && value.value.active ? [value.value.name] : [],
  );
}

const fault = (call: Promise<unknown>) =>
  call.then(
    () => ({ code: 'none', message: '' }),
    (error: unknown) => {
      if (!ThalamusError.is(error)) throw error;
      return { code: error.code, message: error.message };
    },
  );

/** Two router models that no test has used, the first of which decides. */
beforeEach(async () => {
  const names = [...digests.keys()];
  [first = '', second = ''] = names.slice(2 * count, 2 * count + 2);
  count += 1;
  await register(first, { reason: 'a test begins' });
  expect(await active()).toEqual([first]);
});

describe('a router model that should decide', () => {
  it('is free where none does, and one that is registered alone changes nothing', async () => {
    expect(await model('one')).toMatchObject({
      active: true,
      activation: { previous: '', comparisonDigest: '', reason: 'a test begins' },
    });
    await register(second, { activate: false });
    expect(await active()).toEqual([first]);
    expect((await model(second)).activation).toBeUndefined();
    const { revision } = await updater.clients.registry.getStatus({});
    await register(first);
    expect((await updater.clients.registry.getStatus({})).revision).toBe(revision);
    expect(await fault(register(second, { activate: false, reason: 'x' }))).toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });

  it('takes the place of another by a comparison of both that passed', async () => {
    const comparisonDigest = await store(first, second, 0);
    await register(second, { comparisonDigest });
    expect(await active()).toEqual([second]);
    const { activation } = await model(second);
    expect(activation).toMatchObject({
      previous: `${first}@1`,
      comparisonDigest,
      reason: '',
      rolledBack: '',
    });
    expect(Number(activation?.at?.seconds)).toBeGreaterThan(1_700_000_000);
    const audit = (await updater.audit()).filter(({ subject }) => subject === `router-model/${second}@1`);
    expect(audit.at(-1)).toMatchObject({
      action: 'registry.RegisterRouterModel',
      reason: `The comparison ${comparisonDigest} passed.`,
    });
  });

  it('is refused without it, with one that did not pass, and with one of others; a reason goes on in spite of a verdict', async () => {
    const refused = async (more: Parameters<typeof register>[1]) => fault(register(second, more));
    const bare = await refused({});
    expect(bare.code).toBe('RELEASE_CONFLICT');
    expect(bare.message).toContain(`${first}@1 decides for text-classification`);
    expect(bare.message).toContain(`thalamus router promote ${second}@1 --comparison FILE`);
    const failed = await store(first, second, 0.2);
    expect(await refused({ comparisonDigest: failed })).toMatchObject({
      code: 'RELEASE_CONFLICT',
      message: expect.stringContaining('The gate default-router says "failed"') as string,
    });
    const others = await store(second, first, 0);
    for (const reason of ['', 'it is fine'])
      expect((await refused({ comparisonDigest: others, reason })).message).toContain('compare these two');
    const noReport = (await updater.clients.artifacts.put(Buffer.from('{}'))).digest;
    expect(await refused({ comparisonDigest: noReport })).toMatchObject({ code: 'DATASET_INVALID' });
    expect(await refused({ comparisonDigest: `sha256:${'9'.repeat(64)}` })).toMatchObject({
      code: 'ARTIFACT_NOT_FOUND',
    });
    expect(await refused({ reason: '  ' })).toMatchObject({ code: 'RELEASE_CONFLICT' });
    expect(await active()).toEqual([first]);

    await register(second, { comparisonDigest: failed, reason: 'the old one is wrong about law' });
    expect((await model(second)).activation).toMatchObject({
      comparisonDigest: failed,
      reason: 'the old one is wrong about law',
    });
    expect((await model(first)).active).toBe(false);
  });

  it('keeps how it came to decide when it is registered again', async () => {
    const { activation } = await model(first);
    await register(first, { activate: false });
    await register(first);
    expect((await model(first)).activation).toEqual(activation);
  });
});

describe('a router model that is taken back', () => {
  it('gives its place to the one before in one write, once', async () => {
    await register(second, { reason: 'a new one' });
    const { registry } = updater.clients;
    const back = (name: string, reason = 'refunds go astray') =>
      registry.rollBackRouterModel({ name, version: '1', reason });
    expect(await fault(back(second, ''))).toMatchObject({ code: 'REQUEST_INVALID' });
    expect((await fault(back(first))).message).toContain(`${second}@1 does`);
    const before = (await registry.getStatus({})).revision;
    const seen: string[][] = [];
    const answer = await back(second);
    seen.push(await active());
    expect(seen).toEqual([[first]]);
    expect(answer.routerModel?.value).toMatchObject({
      case: 'routerModel',
      value: { name: first, active: true },
    });
    // Both records, and nothing else.
    expect((await registry.getStatus({})).revision).toBe(before + 2n);
    expect((await model(first)).activation).toMatchObject({
      ...{ rolledBack: `${second}@1`, reason: 'refunds go astray', comparisonDigest: '' },
    });
    const told = (await updater.audit()).slice(-2);
    expect(told.map(({ action, subject, reason }) => [action, subject, reason])).toEqual([
      ['registry.RollBackRouterModel', `router-model/${first}@1`, 'refunds go astray'],
      ['registry.RollBackRouterModel', `router-model/${second}@1`, 'refunds go astray'],
    ]);
    // The same call again takes nothing else back.
    expect((await fault(back(second))).code).toBe('RELEASE_CONFLICT');
    expect(await active()).toEqual([first]);
    expect((await fault(back('nobody'))).code).toBe('ROUTER_MODEL_NOT_FOUND');
  });
});
