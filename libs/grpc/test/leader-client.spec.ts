import { artifactV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { afterEach, describe, expect, it } from 'vitest';
import { createLeaderClient } from '../src/index.js';
import { closeAll, serve } from './support/loopback.js';

const closing: { close(): void }[] = [];
afterEach(async () => {
  for (const client of closing.splice(0)) client.close();
  await closeAll();
});

function clientOf(address: string) {
  const client = createLeaderClient(artifactV1.ArtifactService, { address, defaultDeadlineMs: 15_000 });
  closing.push(client);
  return client;
}

const refused = (leader: string) => () => {
  throw new ThalamusError('NOT_LEADER', 'This replica does not write.', { metadata: { leader } });
};

/** A replica that counts what it answers, and one that sends all to it. */
async function pair() {
  const served = { leader: 0, follower: 0 };
  const leader = await serve({
    stat: () => {
      served.leader++;
      return Promise.resolve({ artifacts: [] });
    },
    get: async function* () {
      served.leader++;
      yield await Promise.resolve({ chunk: new Uint8Array([7]) });
    },
  });
  const away = () => {
    served.follower++;
    return refused(leader.address)();
  };
  const follower = await serve({ stat: away, get: away });
  return { served, leader, follower };
}

describe('a client of replicas that elect one', () => {
  it('goes where the refusal points to, and straight there from then on', async () => {
    const { served, follower } = await pair();
    const client = clientOf(follower.address);
    for (let call = 0; call < 3; call++)
      await expect(client.stat({ digests: [] })).resolves.toMatchObject({ artifacts: [] });
    expect(served).toEqual({ leader: 3, follower: 1 });
    expect(client.address).toBe(follower.address);
  });

  it('reads a stream from the one that answers', async () => {
    const { served, follower } = await pair();
    const chunks: number[] = [];
    for await (const { chunk } of clientOf(follower.address).get({ digest: 'sha256:0' }))
      chunks.push(...chunk);
    expect(chunks).toEqual([7]);
    expect(served).toEqual({ leader: 1, follower: 1 });
  });

  it('asks at home again when the leader is gone', async () => {
    const { served, leader, follower } = await pair();
    const client = clientOf(follower.address);
    await client.stat({ digests: [] });
    await leader.server.drain(0);
    await expect(client.stat({ digests: [] })).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    await expect(client.stat({ digests: [] })).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    expect(served.follower).toBe(2);
  });

  it('says who refused when no leader is named, or the one that refuses names itself', async () => {
    for (const name of ['', 'itself']) {
      let address = '';
      const replica = await serve({ stat: () => refused(name === '' ? '' : address)() });
      address = replica.address;
      await expect(clientOf(replica.address).stat({ digests: [] })).rejects.toMatchObject({
        code: 'NOT_LEADER',
      });
    }
  });

  it('passes other errors on as they are', async () => {
    const replica = await serve({
      stat: () => {
        throw new ThalamusError('REQUEST_INVALID', 'Not so.');
      },
    });
    await expect(clientOf(replica.address).stat({ digests: [] })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });
});
