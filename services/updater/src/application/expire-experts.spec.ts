import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import type { StoreResources } from './store-resources.js';
import { ExpireExperts } from './expire-experts.js';

const expert = (name: string, expiresAtMs?: number) =>
  create(registryV1.ExpertSchema, {
    name,
    ...(expiresAtMs === undefined ? {} : { expiresAt: timestampFromMs(expiresAtMs) }),
  });

function setUp(isLeader: boolean) {
  const experts = [expert('kept'), expert('later', 2_001), expert('stood-on', 1_000), expert('due', 2_000)];
  const removed: Parameters<StoreResources['removeExpert']>[0][] = [];
  const expiry = new ExpireExperts(
    {
      experts: () => experts,
      get: (key) => create(registryV1.ResourceSchema, { key, revision: BigInt(key.length) }),
    },
    {
      removeExpert: (request) => {
        if (request.expert === 'stood-on')
          return Promise.reject(new ThalamusError('REVISION_CONFLICT', 'another stands on it'));
        removed.push(request);
        return Promise.resolve(1n);
      },
    },
    { isLeader },
    () => 2_000,
  );
  return { expiry, removed };
}

describe('ExpireExperts', () => {
  it('removes what is due and nothing else, as it was seen; one that must stay stops no other', async () => {
    const { expiry, removed } = setUp(true);
    await expiry.sweep();
    expect(removed.map(({ expert: name, expectedRevision }) => [name, expectedRevision])).toEqual([
      ['due', BigInt('expert/due'.length)],
    ]);
  });

  it('leaves it to the elected writer', async () => {
    const { expiry, removed } = setUp(false);
    await expiry.sweep();
    expect(removed).toEqual([]);
  });
});
