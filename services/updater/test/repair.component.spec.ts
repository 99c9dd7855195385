import { jobV1, releaseV1 } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { channelsOf, reached, ReleaseTraffic } from './released-expert.js';
import { RepairableExpert } from './repairs-of-releases.js';
import { codeOf, errorOf, RunningUpdater, temporaryFolder } from './running-updater.js';

const { JobState } = jobV1;
const { ReleaseState } = releaseV1;
const ROWS = 'rows@1';

describe('the repair of a candidate', { timeout: 60_000 }, () => {
  const folder = temporaryFolder();
  let updater: RunningUpdater;
  let clients: RunningUpdater['clients'];
  let traffic: ReleaseTraffic;
  const expert = new RepairableExpert(() => clients);

  beforeAll(async () => {
    updater = await RunningUpdater.start(folder.path);
    ({ clients } = updater);
    await waitUntil('a writer is elected', async () => (await clients.registry.getStatus({})).isLeader);
    await expert.register();
    traffic = await ReleaseTraffic.open(folder.path, 'intents');
  });
  afterEach(async () => {
    const ended = [ReleaseState.STABLE, ReleaseState.ROLLED_BACK];
    for (const { id, state } of (await clients.release.listReleases({})).releases)
      if (!ended.includes(state)) await rollBack(id);
    const { jobs } = await clients.jobs.list({});
    for (const { id } of jobs) await clients.jobs.cancel({ id });
  });
  afterAll(async () => {
    await traffic.close();
    await updater.stop();
    folder.remove();
  });

  const rollBack = (releaseId: string) => clients.release.rollBack({ releaseId, reason: 'over' });
  const repair = (releaseId: string, parameters = {}, dataset = ROWS) =>
    clients.release.repair({ releaseId, dataset, parameters });
  const finish = (claim: { id: string; token: bigint }, how: object) =>
    clients.jobs.finish({ ...claim, ...how });

  it('is registered, compared, put in the place of the candidate, and goes on as usual', async () => {
    const { id } = await expert.standing();
    const { jobId, release } = await repair(id, { method: 'mean-ce', seed: 7 });
    expect(release).toMatchObject({
      state: ReleaseState.COMPARED,
      stopped: '',
      repair: { jobId, ended: false },
    });
    const job = await expert.job(jobId);
    expect(job.parameters).toMatchObject({ from: 'intents@1', to: 'intents@2', method: 'mean-ce', seed: 7 });
    expect(job.inputs.map(({ name }) => name)).toEqual(['data', 'from', 'from-base', 'to', 'base']);
    // A host that has the candidate moves nothing on: it will be replaced.
    await traffic.hostHas('2');
    await waitUntil('it says what it waits for', async () =>
      (await expert.find(id)).waitingFor.includes(`Job ${jobId}, which repairs it, waits for a worker`),
    );
    expect(await channelsOf(clients, 'intents')).toEqual({ stable: '1', candidate: '', shadow: '' });
    const claim = await expert.claim();
    const progress = { stage: 'training', done: 3n, total: 9n };
    await clients.jobs.heartbeat({ ...claim, progress, leaseMs: 60_000 });
    await waitUntil('it says how far it is', async () =>
      (await expert.find(id)).waitingFor.includes('repairs it: training, 3 of 9.'),
    );
    const made = await expert.made();
    await finish(claim, made);
    const after = await expert.settled(id);
    expect(after).toMatchObject({
      state: ReleaseState.REPAIRED,
      toVersion: '3',
      fromVersion: '1',
      stopped: '',
    });
    expect(after.repair).toMatchObject({ jobId, replacedVersion: '2', by: 'unnamed' });
    expect(after.comparison).toMatchObject({ overall: { n: 50n, negativeFlips: { count: 0n } } });
    const last = after.history.at(-1);
    expect(last).toMatchObject({ state: ReleaseState.REPAIRED, by: 'gate' });
    expect(last?.reason).toContain(
      `intents@3 is 2 repaired against 1 by job ${jobId} (mean-ce on rows@1, seed 7), asked for by unnamed. Judged. Compared: 0 of 50`,
    );
    expect(last?.evidence.slice(0, 3)).toEqual(made.outputs.map(({ digest }) => digest));
    expect(last?.evidence).toHaveLength(4);
    expect(await channelsOf(clients, 'intents')).toEqual({ stable: '1', candidate: '', shadow: '3' });
    const again = await errorOf(repair(id));
    expect(again.message).toContain(`it was repaired already, by job ${jobId}`);
    await traffic.hostHas('3');
    await reached(clients, id, ReleaseState.SHADOW);
    const late = await errorOf(repair(id));
    expect(late.code).toBe('RELEASE_CONFLICT');
    expect(late.message).toContain('its candidate gets traffic already. Roll it back');
    const actions = (await updater.audit()).filter(({ subject }) => subject === `release/${id}`);
    expect(actions.map(({ action }) => action)).toEqual([
      ...['release.Start', 'release.Repair', 'release.Repair', 'release.Advance'],
    ]);
    const [version] = (await updater.audit()).filter(({ subject }) => subject === 'version/intents@3');
    expect(version?.reason).toContain(jobId);
  });

  it('stands again where the repaired version is incompatible, too', async () => {
    const { id } = await expert.standing();
    await repair(id);
    await finish(await expert.claim(), await expert.made({ flips: 20, version: '4' }));
    const after = await expert.settled(id);
    expect(after).toMatchObject({ state: ReleaseState.REPAIRED, toVersion: '4' });
    expect(after.stopped).toContain('Incompatible: 20 of 50');
    expect((await channelsOf(clients, 'intents')).shadow).toBe('');
  });

  it('is judged anew by the gate of the release; what was approved of the one before counts no longer', async () => {
    const rule =
      '{ name: flips, measure: nfr, data: offline, threshold: 0.1, minimumSamples: 80, approvals: 2 }';
    const gate = Buffer.from(`version: 1\nname: strict\nrules:\n  - ${rule}\n`);
    const [oldDigest, newDigest] = [await expert.answers(0), await expert.answers(1)];
    const wanted = { expert: 'intents', toVersion: '2', oldDigest, newDigest, gate };
    const { release } = await clients.release.start(wanted);
    const id = release?.id ?? '';
    // 50 items are too few for the rule.
    expect(release?.stopped).toContain('The gate strict is inconclusive. flips:');
    await clients.release.approve({ releaseId: id, reason: 'seen by hand' });
    await repair(id);
    const before = await expert.find(id);
    expect(before.gate?.approvals).toHaveLength(1);
    await finish(await expert.claim(), await expert.made({ version: '60', flips: 20 }));
    const after = await expert.settled(id);
    expect(after).toMatchObject({ state: ReleaseState.REPAIRED, toVersion: '60' });
    expect(after.gate).toMatchObject({ name: 'strict', digest: before.gate?.digest, approvals: [] });
    const [flips] = after.gate?.rules ?? [];
    expect(flips?.value).toBeCloseTo(0.4, 6);
    expect(after.stopped).toContain('The gate strict');
    expect(after.comparison?.reason).toContain('The gate strict');
  });

  it('asked for twice is one job; in another way while that runs it is refused', async () => {
    const { id } = await expert.standing();
    const both = await Promise.all([repair(id, { seed: 1 }), repair(id, { seed: 1 })]);
    expect(both[0].jobId).toBe(both[1].jobId);
    expect((await repair(id, { seed: 1, method: 'mean-ce' })).jobId).toBe(both[0].jobId);
    const other = await errorOf(repair(id, { seed: 2 }));
    expect(other.code).toBe('RELEASE_CONFLICT');
    expect(other.message).toContain(`thalamus jobs cancel ${both[0].jobId}`);
    const open = await clients.jobs.list({ kind: 'repair', state: JobState.QUEUED });
    expect(open.jobs.map((job) => job.id)).toEqual([both[0].jobId]);
  });

  it('takes the next number when another has taken that of the bundle', async () => {
    const { id } = await expert.standing();
    await repair(id);
    const before = await expert.versions();
    const next = String(Math.max(...before.map(Number)) + 1);
    await clients.registry.registerVersion({ version: { manifestDigest: await expert.bundle(next) } });
    await finish(await expert.claim(), await expert.made({ version: next }));
    const after = await expert.settled(id);
    expect(after).toMatchObject({ state: ReleaseState.REPAIRED, toVersion: String(Number(next) + 1) });
    expect(await expert.versions()).toEqual(expect.arrayContaining([...before, next, after.toVersion]));
  });

  it.each<[string, object, RegExp]>([
    [
      'fails',
      { state: JobState.FAILED, errorCode: 'DATASET_INVALID', errorMessage: 'rows@1: no rows.' },
      /^The repair failed \(job .*\): DATASET_INVALID: rows@1: no rows\. Repair it again.* Incompatible: 20 of 50/,
    ],
    [
      'is cancelled',
      { state: JobState.CANCELLED },
      /^The repair was cancelled \(job .*\)\. .* Incompatible:/,
    ],
    [
      'gives no predictions',
      { state: JobState.SUCCEEDED, outputs: [{ name: 'bundle', digest: `sha256:${'0'.repeat(64)}` }] },
      /^The repair by job .* was not taken: Job .* has no output "old-predictions"/,
    ],
  ])(
    'that %s leaves the release where it was, which says why, and can be asked for again',
    async (_, how, why) => {
      const { id } = await expert.standing();
      const { jobId } = await repair(id);
      const before = await expert.versions();
      await finish(await expert.claim(), how);
      const after = await expert.settled(id);
      expect(after).toMatchObject({ state: ReleaseState.COMPARED, toVersion: '2' });
      expect(after.stopped).toMatch(why);
      expect(await expert.versions()).toEqual(before);
      const again = await repair(id);
      expect(again.jobId).not.toBe(jobId);
      await rollBack(id);
    },
  );

  it('that made it worse is not taken', async () => {
    const { id } = await expert.standing();
    await repair(id);
    const before = await expert.versions();
    await finish(await expert.claim(), await expert.made({ verdict: 'worse' }));
    const after = await expert.settled(id);
    expect(after).toMatchObject({ state: ReleaseState.COMPARED, toVersion: '2' });
    expect(after.stopped).toContain(
      'was not taken: it made the version worse: Judged. Its bundle is sha256:',
    );
    expect(await expert.versions()).toEqual(before);
  });

  it('is cancelled with the release, also by a step by hand, and nothing is registered', async () => {
    const { id } = await expert.standing();
    const { jobId } = await repair(id);
    const claim = await expert.claim();
    const before = await expert.versions();
    await rollBack(id);
    await waitUntil('it is told to end', async () => (await expert.job(jobId)).cancelRequested);
    // A worker that had ended by then tells so all the same.
    await finish(claim, await expert.made({ version: '90' }));
    expect((await expert.job(jobId)).state).toBe(JobState.SUCCEEDED);
    const waiting = await expert.standing();
    const second = await repair(waiting.id);
    await clients.release.advance({ releaseId: waiting.id, reason: 'the labels were wrong' });
    await waitUntil(
      'it is cancelled',
      async () => (await expert.job(second.jobId)).state === JobState.CANCELLED,
    );
    expect((await expert.find(id)).state).toBe(ReleaseState.ROLLED_BACK);
    expect(await expert.find(waiting.id)).toMatchObject({ state: ReleaseState.SHADOW, toVersion: '2' });
    expect(await expert.versions()).toEqual(before);
  });

  it.each<[string, string, object, string, RegExp]>([
    ['rows that are not registered', 'none@1', {}, 'RESOURCE_NOT_FOUND', /No data set none@1/],
    ['rows without a version', 'rows', {}, 'REQUEST_INVALID', /parameters\.dataset must be name@version/],
    [
      'an unknown method',
      ROWS,
      { method: 'lora' },
      'REQUEST_INVALID',
      /parameters\.method must be one of muscle/,
    ],
    [
      'an unknown parameter',
      ROWS,
      { rank: 8 },
      'REQUEST_INVALID',
      /parameters\.rank is unknown; known are from, to/,
    ],
    [
      'a version of its own',
      ROWS,
      { to: 'intents@1' },
      'REQUEST_INVALID',
      /parameters\.to: is what the release/,
    ],
    [
      'the same rows to judge',
      ROWS,
      { testDataset: ROWS },
      'REQUEST_INVALID',
      /testDataset: is the same file/,
    ],
  ])('is refused with %s, and the release stays as it is', async (_, dataset, parameters, code, message) => {
    const release = await expert.standing();
    const error = await errorOf(repair(release.id, parameters, dataset));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    // What it waits for is said at the next look.
    expect({ ...(await expert.find(release.id)), waitingFor: '' }).toEqual({ ...release, waitingFor: '' });
  });

  it('is refused of what is no low-rank expert, of what has ended, and of what there is not', async () => {
    await clients.registry.registerVersion({
      version: { manifestDigest: await expert.bundle('50', 'probe') },
    });
    const { release } = await clients.release.start({ expert: 'intents', toVersion: '50' });
    const id = release?.id ?? '';
    const error = await errorOf(repair(id));
    expect(error.message).toContain(
      'intents@50 is probe for text-classification; a repair trains a low-rank adapter',
    );
    await rollBack(id);
    expect((await errorOf(repair(id))).message).toContain('it has ended. Start another one');
    expect(await codeOf(repair('none'))).toBe('RESOURCE_NOT_FOUND');
  });
});
