import { jobV1, releaseV1 } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kill, leads, Replicas, type Replica } from './replica.js';
import { RepairableExpert } from './repairs-of-releases.js';
import { temporaryFolder } from './running-updater.js';

const { JobState } = jobV1;
const { ReleaseState } = releaseV1;

describe('a repair whose updater is killed', { timeout: 180_000 }, () => {
  const folder = temporaryFolder();
  const replicas = new Replicas(folder.path);
  let leader: Replica;
  const expert = new RepairableExpert(() => leader.clients);

  beforeAll(async () => {
    leader = await replicas.start('the first one');
    await waitUntil('it leads', leads(leader));
    await expert.register();
  }, 120_000);
  afterAll(async () => {
    await replicas.killAll();
    folder.remove();
  });

  /** Ends the leader at once; another process goes on with what the log says. */
  const takeOver = async () => {
    const next = replicas.start('the next one');
    await kill(leader);
    leader = await next;
    await waitUntil('the next one leads', leads(leader), { timeoutMs: 30_000 });
  };
  const repair = async (releaseId: string) =>
    (await leader.clients.release.repair({ releaseId, dataset: 'rows@1' })).jobId;
  const openJobs = async () => {
    const { jobs } = await leader.clients.jobs.list({ kind: 'repair' });
    return jobs.filter(({ state }) => state === JobState.QUEUED || state === JobState.RUNNING);
  };

  it('is one job that waits, runs and ends, and is taken once', async () => {
    const { id } = await expert.standing();
    const jobId = await repair(id);
    await takeOver();
    expect(await repair(id)).toBe(jobId);
    expect((await openJobs()).map((job) => job.id)).toEqual([jobId]);
    const claim = await expert.claim();
    await takeOver();
    await waitUntil('it is known to run', async () =>
      (await expert.find(id)).waitingFor.includes(`Job ${jobId} repairs it`),
    );
    const made = await expert.made();
    await leader.clients.jobs.finish({ ...claim, ...made });
    // Whether it had been taken by then or not.
    await takeOver();
    const after = await expert.settled(id);
    expect(after).toMatchObject({ state: ReleaseState.REPAIRED, toVersion: '3' });
    expect(await expert.versions()).toEqual(['1', '2', '3']);
    await takeOver();
    expect((await expert.find(id)).history).toEqual(after.history);
    await leader.clients.release.rollBack({ releaseId: id, reason: 'over' });
  });

  it('is asked for while nobody leads, and found by whoever asks again', async () => {
    const { id } = await expert.standing();
    const asked = repair(id).catch(() => 'nobody answered');
    await takeOver();
    const jobId = await repair(id);
    expect([jobId, 'nobody answered']).toContain(await asked);
    expect((await openJobs()).map((job) => job.id)).toEqual([jobId]);
    await leader.clients.release.rollBack({ releaseId: id, reason: 'over' });
    await kill(leader);
    leader = await replicas.start('the next one');
    await waitUntil('it is cancelled', async () => (await expert.job(jobId)).state === JobState.CANCELLED, {
      timeoutMs: 30_000,
    });
    expect(await expert.versions()).toEqual(['1', '2', '3']);
  });
});
