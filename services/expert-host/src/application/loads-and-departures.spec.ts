import { create } from '@bufbuild/protobuf';
import { registryV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { Departures } from './departures.js';
import type { ExpertOpener, MakeRoom } from './expert-opener.js';
import { LoadQueue } from './load-queue.js';
import { LoadRetries } from './load-retries.js';
import { LoadWaiting } from './load-waiting.js';
import { COUNT_WEIGHTS } from './memory-count.js';
import { ResidencyBudget } from './residency-budget.js';
import { ResidencyWishes } from './residency-wishes.js';
import type { ServedExpert } from './served-expert.js';
import { SlotLoads } from './slot-loads.js';
import { keyOf, newSlot, type Slot } from './slot.js';
import { Slots } from './slots.js';
import { UseClock } from './use-clock.js';

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Loads of versions that stand alone, each as large as it says, beside a limit; one named here is loaded when it is let to. */
function hostOf(limitBytes: number) {
  const slots = new Slots();
  const gates = new Map<string, Promise<void>>();
  const open = async ({ expert, version, sizeBytes }: Slot['registered'], rooms: MakeRoom) => {
    const bytes = Number(sizeBytes);
    await rooms.make({ of: keyOf({ expert, version }), bytes });
    await gates.get(expert);
    return { memoryBytes: bytes, ownBytes: bytes, release: () => Promise.resolve() } as ServedExpert;
  };
  // Without bases, and with nothing held: what is left of an opener.
  const opener = {
    open,
    letHeldGo: () => Promise.resolve(false),
    residentBases: () => [],
    baseOf: () => undefined,
  } as unknown as ExpertOpener;
  const queue: LoadQueue = new LoadQueue(
    (slot, mayEvict) => loads.load(slot, mayEvict),
    (slot) => [keyOf(slot)],
    () => Promise.resolve(),
  );
  const departures = new Departures(slots, queue);
  const budget = new ResidencyBudget(limitBytes, {
    opener,
    wishes: new ResidencyWishes([], new Map()),
    count: COUNT_WEIGHTS,
    loaded: () => departures.loaded,
    evict: (key) => departures.evict(key),
    freed: () => departures.freed(),
  });
  const retries = new LoadRetries(60_000, () => undefined);
  const parties = { slots, opener, budget, departures, retries, uses: new UseClock() };
  const loads = new SlotLoads({ ...parties, onReady: () => undefined });
  const waiting = new LoadWaiting(100);
  const add = (expert: string, bytes: number) => {
    const version = { expert, version: '1', sizeBytes: BigInt(bytes) };
    const slot = newSlot(create(registryV1.ExpertVersionSchema, version));
    slots.put(slot);
    return slot;
  };
  /** What a request does that asks for a version: it is in flight from when it is loaded. */
  const ask = async (slot: Slot) => {
    const loaded = waiting.until(slot, {});
    queue.ask(slot);
    await loaded;
  };
  const leave = (slot: Slot) => {
    slot.inFlight -= 1;
    if (slot.inFlight === 0) slot.onIdle?.();
  };
  return { departures, gates, add, ask, leave };
}

describe('loads and departures', () => {
  it('a load that waits for what leaves does not wait for a version that was removed before it was in memory', async () => {
    const { departures, gates, add, ask, leave } = hostOf(100);
    const inUse = add('in-use', 30);
    await ask(inUse);
    let go = () => {};
    gates.set('slow', new Promise((resolve) => (go = resolve)));
    const slow = ask(add('slow', 60));
    await settle();
    // Finds no room, and waits until the slow one has come on.
    const removed = add('removed', 50);
    const refused = ask(removed).catch((error: unknown) => error);
    await settle();
    departures.remove(removed);
    departures.remove(inUse);
    // Waits for the one in use.
    const asked = ask(add('asked', 30));
    await settle();
    leave(inUse);
    go();
    await slow;
    await asked;
    expect(await refused).toMatchObject({ code: 'EXPERT_NOT_READY' });
    await departures.settled();
    expect([...departures.loaded].map(({ expert }) => expert)).toEqual(['slow', 'asked']);
  });

  it('a version that was removed while it waited for room takes none of others', async () => {
    const { departures, gates, add, ask, leave } = hostOf(100);
    const kept = add('kept', 30);
    await ask(kept);
    leave(kept);
    let go = () => {};
    gates.set('slow', new Promise((resolve) => (go = resolve)));
    const slow = ask(add('slow', 60));
    await settle();
    const removed = add('removed', 80);
    const refused = ask(removed).catch((error: unknown) => error);
    await settle();
    departures.remove(removed);
    go();
    await slow;
    await departures.settled();
    expect(await refused).toMatchObject({ code: 'EXPERT_NOT_READY' });
    expect([...departures.loaded].map(({ expert }) => expert)).toEqual(['kept', 'slow']);
  });
});
