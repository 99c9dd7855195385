import { registryV1, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { GrpcServer, implementService, type CallContext, type ServiceImplementation } from '@thalamus/grpc';
import { afterEach, describe, expect, it } from 'vitest';
import type { RequestScope } from '../../domain/caller.js';
import { AskUpdater } from './ask-updater.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A replica of the updater whose every call ends as `answer` says. */
async function replica(answer: () => { id: string }) {
  const calls: CallContext[] = [];
  const own: Partial<ServiceImplementation<typeof registryV1.RegistryService>> = {
    revokeKey: (_request, context) => {
      calls.push(context);
      const { id } = answer();
      return Promise.resolve({ key: { key: `key/${id}`, value: { case: 'apiKey', value: { id } } } });
    },
  };
  const refuse = () => Promise.reject(new ThalamusError('METHOD_UNSUPPORTED', 'not here'));
  const implementation = new Proxy(own, {
    get: (target, name) => (Reflect.get(target, name) as unknown) ?? refuse,
  }) as ServiceImplementation<typeof registryV1.RegistryService>;
  const server = new GrpcServer({
    host: '127.0.0.1',
    port: 0,
    services: [implementService(registryV1.RegistryService, implementation)],
  });
  await server.start();
  closers.push(() => server.drain(0));
  return { calls, address: `127.0.0.1:${server.port}` };
}

const leaderIs = (leader: string) => () => {
  throw new ThalamusError('NOT_LEADER', 'This replica does not write.', { metadata: { leader } });
};
const scope = (deadlineAtMs = Date.now() + 5_000): RequestScope => ({
  requestId: 'request-1',
  caller: { tenant: 'acme', role: 'admin', id: 'thk_abc' },
  signal: new AbortController().signal,
  deadlineAtMs,
  completion: { isRecorded: false },
});
const asking = (address: string) => {
  const updater = new AskUpdater(address);
  closers.push(() => {
    updater.close();
  });
  return (at = scope()) =>
    updater
      .run(at, ({ registry }, call) => registry.revokeKey({ id: 'x' }, call))
      .then(({ key }) => key?.key);
};

describe('AskUpdater', () => {
  it('calls in the name of the key and its tenant, within the time of the request', async () => {
    const { address, calls } = await replica(() => ({ id: 'x' }));
    expect(await asking(address)()).toBe('key/x');
    const [call] = calls;
    expect(call?.metadata.get(RPC_METADATA.actor)).toBe('thk_abc');
    expect(call?.tenant).toBe('acme');
    expect(call?.requestId).toBe('request-1');
    expect(call?.deadlineAtMs).toBeLessThanOrEqual(Date.now() + 5_000);
  });

  it('follows a replica that names the leader, and asks the leader first from then on', async () => {
    const leader = await replica(() => ({ id: 'led' }));
    const follower = await replica(leaderIs(leader.address));
    const ask = asking(follower.address);
    expect([await ask(), await ask()]).toEqual(['key/led', 'key/led']);
    expect([follower.calls.length, leader.calls.length]).toEqual([1, 2]);
  });

  it('goes back to the address of its settings when leadership came home', async () => {
    const led: { address: string } = { address: '' };
    let homeLeads = false;
    const home = await replica(() => (homeLeads ? { id: 'home' } : leaderIs(led.address)()));
    const former = await replica(() => (homeLeads ? leaderIs(home.address)() : { id: 'former' }));
    led.address = former.address;
    const ask = asking(home.address);
    expect(await ask()).toBe('key/former');
    homeLeads = true;
    expect(await ask()).toBe('key/home');
  });

  it('two replicas that name each other, and one that knows no leader, are an error and no loop', async () => {
    const names: { address: string } = { address: '' };
    const first = await replica(() => leaderIs(names.address)());
    const second = await replica(leaderIs(first.address));
    names.address = second.address;
    await expect(asking(first.address)()).rejects.toMatchObject({ code: 'NOT_LEADER' });
    expect(first.calls.length + second.calls.length).toBe(3);
    const lost = await replica(leaderIs(''));
    await expect(asking(lost.address)()).rejects.toMatchObject({ code: 'NOT_LEADER' });
    expect(lost.calls.length).toBe(1);
  });

  it('an updater that is away is an error, and so is a request without time', async () => {
    const { address } = await replica(() => ({ id: 'x' }));
    await expect(asking('127.0.0.1:1')()).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    await expect(asking(address)(scope(Date.now()))).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});
