import { toThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { Turns } from './turns.js';

const open = () => new AbortController().signal;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (cause: unknown) => toThalamusError(cause).code,
  );

describe('Turns', () => {
  it('runs one at a time, in order, also after one that failed', async () => {
    const turns = new Turns(10);
    const log: string[] = [];
    const gates = [0, 1, 2].map(() => Promise.withResolvers<undefined>());
    const work = gates.map((gate, index) =>
      turns.take(open(), async () => {
        log.push(`start ${index}`);
        await gate.promise;
        log.push(`end ${index}`);
        if (index === 0) throw new Error('broken');
      }),
    );
    for (const gate of [...gates].reverse()) gate.resolve(undefined);
    expect((await Promise.allSettled(work)).map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(log).toEqual(['start 0', 'end 0', 'start 1', 'end 1', 'start 2', 'end 2']);
  });

  it('refuses what goes beyond its bound', async () => {
    const turns = new Turns(1);
    const gate = Promise.withResolvers<undefined>();
    const first = turns.take(open(), () => gate.promise);
    const second = turns.take(open(), () => Promise.resolve());
    expect(await codeOf(turns.take(open(), () => Promise.resolve()))).toBe('EXPERT_OVERLOADED');
    gate.resolve(undefined);
    await Promise.all([first, second]);
    expect(await codeOf(turns.take(open(), () => Promise.resolve()))).toBe('ok');
  });

  it('lets one that waits give up, without letting the next overtake the one that runs', async () => {
    const turns = new Turns(10);
    const gate = Promise.withResolvers<undefined>();
    const log: string[] = [];
    const first = turns.take(open(), async () => {
      await gate.promise;
      log.push('first');
    });
    const caller = new AbortController();
    const second = turns.take(caller.signal, () => Promise.resolve(log.push('second')));
    const third = turns.take(open(), () => Promise.resolve(log.push('third')));
    const reason = new Error('gone');
    caller.abort(reason);
    await expect(second).rejects.toBe(reason);
    gate.resolve(undefined);
    await Promise.all([first, third]);
    expect(log).toEqual(['first', 'third']);
  });
});
