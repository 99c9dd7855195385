import { describe, expect, it } from 'vitest';
import { LoadRooms } from './load-rooms.js';

const settle = () => new Promise((resolve) => setImmediate(resolve));

/** What a promise has come to, once everything else has been done. */
async function stateOf<T>(promise: Promise<T>): Promise<T | 'open'> {
  await settle();
  return Promise.race([promise, settle().then(() => 'open' as const)]);
}

describe('LoadRooms', () => {
  it('counts what loads were promised until it is taken, given back, or the load has ended', () => {
    const rooms = new LoadRooms();
    const [one, two] = [rooms.begin(), rooms.begin()];
    const bytes = () => rooms.promised.map((it) => it.bytes);
    const first = one.promise({ of: 'a', bytes: 5 }, 5);
    one.promise({ of: 'b', bytes: 7 }, 9);
    two.promise({ of: 'c', bytes: 1 }, 1);
    expect(bytes()).toEqual([5, 9, 1]);
    one.taken(first);
    two.giveBack();
    expect(bytes()).toEqual([9]);
    one.end();
    expect(bytes()).toEqual([]);
    expect(rooms.isEmpty).toBe(false);
    two.end();
    expect(rooms.isEmpty).toBe(true);
  });

  it('looks for room for one after the other, also after one that failed', async () => {
    const rooms = new LoadRooms();
    const order: string[] = [];
    let go = () => {};
    const first = rooms.inTurn(async () => {
      await new Promise<void>((resolve) => (go = resolve));
      order.push('first');
      throw new Error('full');
    });
    const second = rooms.inTurn(() => Promise.resolve(order.push('second')));
    await settle();
    expect(order).toEqual([]);
    go();
    await expect(first).rejects.toThrow('full');
    await second;
    expect(order).toEqual(['first', 'second']);
  });

  it('lets a load wait while another goes on, and refuses it when none does', async () => {
    const rooms = new LoadRooms();
    const [one, two] = [rooms.begin(), rooms.begin()];
    const waits = rooms.anotherCameOn(one);
    expect(await stateOf(waits)).toBe('open');
    // Both would wait for each other.
    expect(await rooms.anotherCameOn(two)).toBe(false);
    two.end();
    expect(await waits).toBe(true);
    expect(await rooms.anotherCameOn(one)).toBe(false);
  });

  it('wakes a load that waits for one which begins to wait for it', async () => {
    const rooms = new LoadRooms();
    const [one, two] = [rooms.begin(), rooms.begin()];
    const waits = rooms.anotherCameOn(one);
    let open = () => {};
    const base = new Promise<void>((resolve) => (open = resolve));
    const behind = rooms.behind(two, base);
    expect(await stateOf(waits)).toBe(true);
    expect(await rooms.anotherCameOn(one)).toBe(false);
    open();
    await behind;
  });

  it('lets a load that was refused try again once another has ended, or while all others hold nothing, but no more', async () => {
    const rooms = new LoadRooms();
    const [one, two, three] = [rooms.begin(), rooms.begin(), rooms.begin()];
    const again = rooms.again(one);
    expect(await stateOf(again)).toBe('open');
    const other = rooms.again(two);
    three.end();
    expect(await again).toBe(true);
    expect(await other).toBe(true);
    const parked = rooms.again(two);
    expect(await stateOf(parked)).toBe('open');
    expect(await rooms.again(one)).toBe(true);
    expect(await rooms.again(one)).toBe(false);
    one.end();
    expect(await parked).toBe(true);
    expect(await rooms.again(two)).toBe(false);
  });

  it('lets a load that was refused try again though a new one begins where another has ended', async () => {
    const rooms = new LoadRooms();
    const [one, two] = [rooms.begin(), rooms.begin()];
    const again = rooms.again(one);
    expect(await stateOf(again)).toBe('open');
    two.end();
    rooms.begin();
    expect(await stateOf(again)).toBe(true);
  });
});
