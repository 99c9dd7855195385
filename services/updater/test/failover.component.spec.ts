import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { freePorts, waitUntil } from '@thalamus/testing';
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { clientsOf, errorOf, temporaryFolder } from './running-updater.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const { Role } = registryV1;

interface Replica {
  readonly address: string;
  readonly process: ChildProcess;
  readonly clients: ReturnType<typeof clientsOf>;
}

describe('two updaters on one log', { timeout: 90_000 }, () => {
  const replicas: Replica[] = [];
  const folder = temporaryFolder();

  afterEach(async () => {
    for (const { process, clients } of replicas.splice(0)) {
      clients.close();
      process.kill('SIGKILL');
      if (process.exitCode === null && process.signalCode === null)
        await new Promise((resolve) => process.once('exit', resolve));
    }
    folder.remove();
  });

  const start = async (name: string): Promise<Replica> => {
    const [port = 0] = await freePorts(1);
    const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith('THALAMUS_'));
    const child = fork(MAIN, [], {
      env: {
        ...Object.fromEntries(inherited),
        THALAMUS_GRPC_PORT: String(port),
        THALAMUS_OPS_PORT: '0',
        THALAMUS_BUS: 'embedded',
        THALAMUS_BUS_FILE: join(folder.path, 'events.sqlite'),
        THALAMUS_ARTIFACTS_FOLDER: join(folder.path, 'artifacts'),
        THALAMUS_LOG_LEVEL: 'error',
      },
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const address = `127.0.0.1:${port}`;
    const replica = { address, process: child, clients: clientsOf(address) };
    replicas.push(replica);
    await waitUntil(`${name} answers`, () => replica.clients.registry.getStatus({}), { timeoutMs: 60_000 });
    return replica;
  };
  const leads =
    ({ clients }: Replica) =>
    async () =>
      (await clients.registry.getStatus({})).isLeader;
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
