import { create } from '@bufbuild/protobuf';
import { registryV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { LoadQueue } from './load-queue.js';
import { newSlot, type Slot } from './slot.js';

const slotOf = (expert: string, isAsked = true): Slot => {
  const slot = newSlot(create(registryV1.ExpertVersionSchema, { expert, version: '1' }));
  if (isAsked) slot.waiters.add({ resolve: () => undefined, reject: () => undefined });
  return slot;
};

/** A queue whose loads end when they are told to. */
function queueOf() {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  let idles = 0;
  const queue = new LoadQueue(
    (slot) => {
      begun.push(slot.expert);
      slot.state = 'loading';
      return new Promise((resolve) => {
        ends.set(slot.expert, () => {
          slot.state = 'ready';
          resolve();
        });
      });
    },
    (slot) => [slot.expert],
    () => {
      idles += 1;
      return Promise.resolve();
    },
  );
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const end = async (expert: string) => {
    ends.get(expert)?.();
    await settle();
  };
  return { queue, begun, end, settle, idles: () => idles };
}

describe('LoadQueue', () => {
  it('loads what is asked for though another load hangs, a few at once', async () => {
    const { queue, begun, end, settle } = queueOf();
    for (const expert of ['hangs', 'a', 'b', 'c', 'd', 'e']) queue.ask(slotOf(expert));
    await settle();
    expect(begun).toEqual(['hangs', 'a', 'b', 'c']);
    await end('b');
    expect(begun.at(-1)).toBe('d');
    for (const expert of ['a', 'c', 'd']) await end(expert);
    expect(begun).toEqual(['hangs', 'a', 'b', 'c', 'd', 'e']);
    await end('e');
    queue.ask(slotOf('later'));
    await settle();
    expect(begun.at(-1)).toBe('later');
  });

  it('loads what nobody asked for one after the other by rank, when all that is asked for has begun', async () => {
    const { queue, begun, end, settle, idles } = queueOf();
    for (const expert of ['z', 'y', 'x']) queue.offer(slotOf(expert, false), false);
    await settle();
    expect(begun).toEqual(['x']);
    queue.ask(slotOf('asked'));
    await settle();
    expect(begun).toEqual(['x', 'asked']);
    await end('x');
    expect(begun).toEqual(['x', 'asked', 'y']);
    await end('y');
    await end('z');
    expect(idles()).toBe(0);
    await end('asked');
    await queue.idle();
    expect(idles()).toBe(1);
    expect(begun).toEqual(['x', 'asked', 'y', 'z']);
  });

  it('leaves alone what nobody waits for any more, and waits for the end of what leaves while it is loaded', async () => {
    const { queue, begun, end, settle } = queueOf();
    const [gone, asked] = [slotOf('gone'), slotOf('asked')];
    queue.ask(gone);
    gone.waiters.clear();
    queue.ask(asked);
    await settle();
    expect(begun).toEqual(['asked']);
    let hasLeft = false;
    const leaving = queue.leave(asked).then(() => {
      hasLeft = true;
    });
    await settle();
    expect(hasLeft).toBe(false);
    await end('asked');
    await leaving;
    await queue.close();
  });
});
