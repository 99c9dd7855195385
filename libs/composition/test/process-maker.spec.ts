import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ProcessCompositionMaker, type TaskParent } from '../src/index.js';
import { PicoParts } from './pico-parts.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let parts: PicoParts;
let parents: readonly TaskParent[];
beforeAll(async () => {
  parts = await PicoParts.make();
  parents = [await parts.parent('cards', 3), await parts.parent('law', 5)];
});
afterAll(() => parts.remove());

describe('a composing process that is given up', () => {
  it('has gone when whoever waits is told, so that its folder can be removed', async () => {
    const maker = new ProcessCompositionMaker({ stallMs: 60_000 });
    const stop = new AbortController();
    const reason = new Error('enough');
    const work = maker.make(parts.task(parents), () => stop.abort(reason), stop.signal);
    expect(maker.pids).toHaveLength(1);
    await expect(work).rejects.toBe(reason);
    expect(maker.pids).toEqual([]);
  });

  it('is told of with the code that it ended with when nobody gave it up', async () => {
    const maker = new ProcessCompositionMaker({ stallMs: 60_000 });
    const kill = () => maker.pids.forEach((id) => process.kill(id, 'SIGKILL'));
    const work = maker.make(parts.task(parents), kill, new AbortController().signal);
    await expect(work).rejects.toMatchObject({ code: 'EXPERT_CRASHED' });
    await expect(work).rejects.toThrow('SIGKILL');
  });

  it('is ended when it says nothing for long', async () => {
    const maker = new ProcessCompositionMaker({ stallMs: 1 });
    const work = maker.make(parts.task(parents), () => undefined, new AbortController().signal);
    await expect(work).rejects.toThrow('it said nothing for 1 ms (SIGKILL)');
    expect(maker.pids).toEqual([]);
  });
});
