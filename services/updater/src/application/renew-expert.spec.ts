import { create } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { registryV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import type { Change } from './registry-writer.js';
import { RenewExpert } from './renew-expert.js';

const LIVE_MS = 1_000_000;

/** A registry of one expert that lives 1,000 seconds from a use on. */
function setUp(end: { readonly timeToLiveS: bigint } | null = { timeToLiveS: 1_000n }) {
  const clock = { now: 0 };
  let expert: registryV1.Expert | undefined = create(registryV1.ExpertSchema, {
    name: 'twin',
    ...(end ? { expiresAt: timestampFromMs(LIVE_MS), ...end } : {}),
  });
  let writes = 0;
  const renewals = new RenewExpert(
    {
      expert: () => expert,
      get: (key) =>
        expert && create(registryV1.ResourceSchema, { key, value: { case: 'expert', value: expert } }),
    },
    {
      write: (_actor, decide) => {
        const changes: readonly Change[] = decide();
        writes += changes.length;
        for (const { value } of changes)
          if (value?.case === 'expert') expert = create(registryV1.ExpertSchema, value.value);
        return Promise.resolve(changes.map(({ key }) => create(registryV1.ResourceSchema, { key })));
      },
    },
    () => clock.now,
  );
  const use = (name = 'twin') => renewals.run(name, { id: 'gateway', tenant: 'default', action: 'renew' });
  return {
    clock,
    use,
    endMs: () => (expert?.expiresAt ? timestampMs(expert.expiresAt) : undefined),
    writes: () => writes,
    remove: () => (expert = undefined),
  };
}

describe('RenewExpert', () => {
  it('moves the end of an expert in use, and writes at most once a quarter of its time to live', async () => {
    const { clock, use, endMs, writes } = setUp();
    for (; clock.now <= 10 * LIVE_MS; clock.now += LIVE_MS / 100) {
      await use();
      expect(endMs()).toBeGreaterThan(clock.now + 0.7 * LIVE_MS);
    }
    expect(writes()).toBe(40);
  });

  it('says whether it has, and gives one that is past its end but still there another life', async () => {
    const { clock, use, endMs } = setUp();
    expect((await use()).renewed).toBe(false);
    clock.now = LIVE_MS + 3_000;
    expect((await use()).renewed).toBe(true);
    expect(endMs()).toBe(2 * LIVE_MS + 3_000);
  });

  it('leaves alone what does not end, and what does not say how long it lives', async () => {
    for (const end of [null, { timeToLiveS: 0n }]) {
      const { clock, use, writes } = setUp(end);
      clock.now = LIVE_MS;
      expect((await use()).renewed).toBe(false);
      expect(writes()).toBe(0);
    }
  });

  it('says that an expert is gone', async () => {
    const { use, remove } = setUp();
    remove();
    await expect(use()).rejects.toMatchObject({ code: 'EXPERT_NOT_FOUND' });
  });
});
