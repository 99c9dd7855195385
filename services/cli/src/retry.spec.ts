import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { whileElecting } from './retry.js';

describe('whileElecting', () => {
  it('repeats what passes by itself', async () => {
    const faults = ['NOT_LEADER', 'REGISTRY_NOT_READY'] as const;
    let calls = 0;
    const answer = await whileElecting(10_000, () => {
      const code = faults[calls++];
      return code === undefined ? Promise.resolve('done') : Promise.reject(new ThalamusError(code, 'wait'));
    });
    expect(answer).toBe('done');
    expect(calls).toBe(3);
  });

  it('throws at once what does not pass', async () => {
    let calls = 0;
    const work = () => Promise.reject(new ThalamusError('BUNDLE_INVALID', `call ${(calls += 1)}`));
    await expect(whileElecting(10_000, work)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    expect(calls).toBe(1);
  });

  it('throws the last fault when the time is over', async () => {
    const work = () => Promise.reject(new ThalamusError('NOT_LEADER', 'nobody'));
    await expect(whileElecting(0, work)).rejects.toMatchObject({ code: 'NOT_LEADER', message: 'nobody' });
  });
});
