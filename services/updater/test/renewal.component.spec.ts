import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { RPC_METADATA } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, RunningUpdater, temporaryFolder } from './running-updater.js';

const LIVE_MS = 2_000;
/** Longer than the time to live and one look of the expiry, which comes every five seconds. */
const IN_USE_MS = 7_000;

describe('an expert that ends unless it is used', () => {
  const folder = temporaryFolder();
  let updater: RunningUpdater;
  let registry: RunningUpdater['clients']['registry'];
  beforeAll(async () => {
    updater = await RunningUpdater.start(folder.path);
    registry = updater.clients.registry;
    await waitUntil('a writer is elected', async () => (await registry.getStatus({})).isLeader);
  });
  afterAll(async () => {
    await updater.stop();
    folder.remove();
  });

  const names = async () =>
    (await registry.listResources({ kind: 'expert' })).resources.map(({ key }) => key.split('/')[1]);
  const register = async (name: string) => {
    const manifestDigest = await updater.store({ name });
    const expiresAt = timestampFromMs(Date.now() + LIVE_MS);
    const { expert } = await registry.registerVersion({ version: { manifestDigest }, expiresAt });
    return expert;
  };

  it('has no end any more when it is registered again without one, and else the end that it had', async () => {
    const manifestDigest = await updater.store({ name: 'kept' });
    const ends = (atMs: number) => ({ version: { manifestDigest }, expiresAt: timestampFromMs(atMs) });
    const [soon, later] = [Date.now() + 60_000, Date.now() + 600_000];
    const first = await registry.registerVersion(ends(soon));
    const again = await registry.registerVersion(ends(later));
    expect(again.existed).toBe(true);
    expect(again.expert?.value).toEqual(first.expert?.value);
    const kept = await registry.registerVersion({ version: { manifestDigest } });
    expect(kept).toMatchObject({ existed: true, expert: { value: { value: { timeToLiveS: 0n } } } });
    expect(kept.expert?.value.value).not.toHaveProperty('expiresAt');
    await registry.removeExpert({ expert: 'kept' });
  });

  it('stays while it is used, with one write a quarter of its time, and ends when it is not', async () => {
    const made = await register('used');
    expect(made?.value).toMatchObject({ case: 'expert', value: { timeToLiveS: 2n } });
    await register('unused');
    const before = (await registry.getStatus({})).revision;
    const metadata = { [RPC_METADATA.actor]: 'gateway' };
    const startedAt = Date.now();
    let renewed = 0;
    while (Date.now() - startedAt < IN_USE_MS) {
      const answer = await registry.renewExpert({ expert: 'used' }, { metadata });
      if (answer.renewed) renewed += 1;
      const value = answer.expert?.value;
      if (value?.case !== 'expert' || !value.value.expiresAt) throw new Error('it has no end');
      expect(timestampMs(value.value.expiresAt)).toBeGreaterThan(Date.now());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(await names()).toEqual(['used']);
    expect(renewed).toBeGreaterThan(5);
    expect(renewed).toBeLessThanOrEqual(Math.floor((4 * (Date.now() - startedAt)) / LIVE_MS));
    // Besides its renewals the one that nobody used was removed, with its version.
    expect((await registry.getStatus({})).revision - before).toBe(BigInt(renewed + 2));
    const { updatedBy } = (await registry.getResource({ key: 'expert/used' })).resource ?? {};
    expect(updatedBy).toBe('gateway');
    await waitUntil('it ends', async () => (await names()).length === 0, { timeoutMs: 15_000 });
    expect(await codeOf(registry.renewExpert({ expert: 'used' }))).toBe('EXPERT_NOT_FOUND');
  }, 40_000);
});
