import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { waitUntil } from '@thalamus/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { leads, Replicas, type Replica } from './replica.js';
import { errorOf, temporaryFolder } from './running-updater.js';

const { Role } = registryV1;

describe('two updaters on one log', { timeout: 90_000 }, () => {
  const folder = temporaryFolder();
  const replicas = new Replicas(folder.path);
  const start = (name: string) => replicas.start(name);

  afterEach(async () => {
    await replicas.killAll();
    folder.remove();
  });

  const makeKey = ({ clients }: Replica, description: string) =>
    clients.registry.createKey({ tenant: 'acme', role: Role.VIEWER, description }, { deadlineMs: 5_000 });
  const standing = async ({ clients }: Replica) => {
    const { resources } = await clients.registry.listResources({ kind: 'key' });
    return new Map(resources.map(({ key, revision }) => [key, revision]));
  };

  it('a follower names the leader; after kill -9 it leads and has every acknowledged write', async () => {
    const first = await start('first');
    await waitUntil('the first one leads', leads(first));
    const second = await start('second');
    const refusal = await errorOf(makeKey(second, 'refused'));
    expect(refusal.code).toBe('NOT_LEADER');
    expect(refusal.metadata['leader']).toBe(first.address);

    const acknowledged = new Map<string, bigint>();
    const writing = (async () => {
      for (let index = 0; ; index++) {
        const { key } = await makeKey(first, String(index));
        acknowledged.set(key?.key ?? '', key?.revision ?? 0n);
      }
    })().catch((fault: unknown) => fault);
    await waitUntil('some writes are acknowledged', () => acknowledged.size >= 10);
    first.process.kill('SIGKILL');
    expect(ThalamusError.is(await writing)).toBe(true);

    await waitUntil('the second one leads', leads(second), { timeoutMs: 30_000 });
    const { key } = await makeKey(second, 'after the takeover');
    const kept = await standing(second);
    for (const [name, revision] of acknowledged) expect(kept.get(name)).toBe(revision);
    const highest = [...acknowledged.values()].reduce((a, b) => (b > a ? b : a));
    expect(key?.revision).toBeGreaterThan(highest);
    expect(new Set(kept.values()).size).toBe(kept.size);
  });

  it('a leader that was paused cannot write once another leads', async () => {
    const old = await start('old');
    await waitUntil('the old one leads', leads(old));
    const next = await start('next');
    old.process.kill('SIGSTOP');
    // It waits in the old leader's socket, and is the first thing that it sees when it goes on.
    const late = makeKey(old, 'late').catch((fault: unknown) => fault);
    try {
      await waitUntil('the next one leads', leads(next), { timeoutMs: 30_000 });
      await makeKey(next, 'by the next one');
    } finally {
      old.process.kill('SIGCONT');
    }
    const fault = await late;
    expect(ThalamusError.is(fault)).toBe(true);
    await waitUntil('the old one follows', async () => {
      const status = await old.clients.registry.getStatus({});
      return !status.isLeader && status.leaderAddress === next.address;
    });
    const refusal = await errorOf(makeKey(old, 'too late'));
    expect(refusal.code).toBe('NOT_LEADER');
    const { resources } = await next.clients.registry.listResources({ kind: 'key' });
    const descriptions = resources.flatMap(({ value }) =>
      value.case === 'apiKey' ? [value.value.description] : [],
    );
    expect(descriptions).toEqual(['by the next one']);
    expect(await standing(old)).toEqual(await standing(next));
  });
});
