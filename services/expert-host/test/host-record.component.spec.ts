import { openBundle } from '@thalamus/bundle';
import { waitUntil } from '@thalamus/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, Host, Registry } from './host-harness.js';

/** Said again three times in it. */
const LEASE = { THALAMUS_RESIDENCY_LEASE_MS: '3000' };

let registry: Registry;
let host: Host | undefined;
beforeEach(async () => {
  registry = await Registry.open();
  await registry.addAll();
});
afterEach(async () => {
  await host?.stop(0);
  host = undefined;
  await registry.close();
});

const sizeOf = async (name: string) => (await openBundle(registry.path(name))).sizeBytes;
const said = () => host!.residency.fleet()[0];
const memory = () => said()?.memory;
const resident = (expert: string) => said()?.residents.find((item) => item.expert === expert);

describe('what a host says of itself', () => {
  it('is its limit, what is loaded in which process, what is pinned and when each was last used', async () => {
    const before = Date.now();
    host = await Host.start(registry, {
      ...LEASE,
      THALAMUS_MEMORY_LIMIT: '100000000',
      THALAMUS_PINNED_EXPERTS: 'animals',
      THALAMUS_EXPERT_PRIORITIES: 'weather=-2',
    });
    await waitUntil('the host has said what it has', () => memory()?.processes.length === 3);
    const { address, memory: kept, residents } = said()!;
    expect(address).toBe(host.address);
    expect(Number(kept?.limitBytes)).toBe(100_000_000);
    expect(Number(kept?.sharedBytes)).toBe(await sizeOf('pico'));
    // What versions have for themselves is what the host has besides its bases.
    expect(Number(kept?.ownBytes)).toBe(residents.reduce((sum, { ownBytes }) => sum + ownBytes, 0));
    expect(Number(kept?.startedAt?.seconds)).toBeGreaterThanOrEqual(Math.floor(before / 1000));
    expect(kept?.processes.map(({ name }) => name).sort()).toEqual(['linear@1', 'pico@1', 'slow@1']);
    expect(kept?.processes.find(({ name }) => name === 'linear@1')?.pid).toBe(host.childPid('linear'));
    expect(residents.map(({ expert, process }) => [expert, process])).toEqual([
      ['animals', 'pico@1'],
      ['linear', 'linear@1'],
      ['pico', 'pico@1'],
      ['planets', 'pico@1'],
      ['slow', 'slow@1'],
      ['weather', 'pico@1'],
    ]);
    expect(resident('animals')).toMatchObject({ isPinned: true, priority: 0, lastUsedAtMs: undefined });
    expect(resident('weather')).toMatchObject({ isPinned: false, priority: -2 });
    const askedAt = Date.now();
    await ask(host, 'animals', ['a cat']);
    const usedAt = await waitUntil('the use is known', () => resident('animals')?.lastUsedAtMs);
    // Clocks of one machine, of which one is monotone.
    expect(Math.abs(usedAt - askedAt)).toBeLessThan(60_000);
    expect(resident('planets')?.lastUsedAtMs).toBeUndefined();
  });

  it('is what was let go for want of room, and which process ended unasked', async () => {
    // Room for the base and what stands on it, or for little else.
    const limit = (await sizeOf('pico')) + (await sizeOf('slow'));
    host = await Host.start(registry, { ...LEASE, THALAMUS_MEMORY_LIMIT: String(limit) });
    await host.client.repositoryModelLoad({ modelName: 'linear' });
    await host.until('linear', '1', 'ready');
    process.kill(host.childPid('linear'), 'SIGKILL');
    await waitUntil('the restart is known', () => memory()?.restarts === 1n);
    expect(memory()?.recycles).toBe(0n);
    for (const name of ['planets', 'slow', 'linear', 'weather', 'slow'])
      await host.client.repositoryModelLoad({ modelName: name }).catch(() => undefined);
    const loaded = () => said()?.residents.filter(({ state }) => state === 'ready') ?? [];
    await waitUntil('something was let go', () => Number(memory()?.evictions) > 0 || undefined);
    expect(loaded().length).toBeLessThan(6);
    for (const { state, process, memoryBytes } of said()?.residents ?? [])
      if (state === 'registered') expect({ process, memoryBytes }).toEqual({ process: '', memoryBytes: 0 });
  });

  it('is taken back when it stops', async () => {
    host = await Host.start(registry, LEASE);
    await waitUntil('the host is known', () => memory());
    // The view of the test ends with the host: another one reads what is left.
    await host.stop();
    const after = await Host.start(registry, LEASE);
    host = after;
    await waitUntil('the new host is known', () => memory());
    expect(after.residency.fleet()).toHaveLength(1);
  });
});
