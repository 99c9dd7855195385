import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { ExpireExperts } from './expire-experts.js';

const expert = (name: string, expiresAtMs?: number) =>
  create(registryV1.ExpertSchema, {
    name,
    ...(expiresAtMs === undefined ? {} : { expiresAt: timestampFromMs(expiresAtMs) }),
  });

function setUp(isLeader: boolean) {
  const experts = [expert('kept'), expert('later', 2_001), expert('stood-on', 1_000), expert('due', 2_000)];
  const removed: string[] = [];
  const expiry = new ExpireExperts(
    { experts: () => experts },
    {
      removeExpert: ({ expert: name }) => {
        if (name === 'stood-on')
          return Promise.reject(new ThalamusError('REVISION_CONFLICT', 'another stands on it'));
        removed.push(name);
        return Promise.resolve(1n);
      },
    },
    { isLeader },
    () => 2_000,
  );
  return { expiry, removed };
}

describe('ExpireExperts', () => {
  it('removes what is due and nothing else; one that must stay stops no other', async () => {
    const { expiry, removed } = setUp(true);
    await expiry.sweep();
    expect(removed).toEqual(['due']);
  });

  it('leaves it to the elected writer', async () => {
    const { expiry, removed } = setUp(false);
    await expiry.sweep();
    expect(removed).toEqual([]);
  });
});
