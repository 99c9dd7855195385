import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { LoadTrouble } from './load-trouble.js';

const crash = () => new ThalamusError('EXPERT_CRASHED', 'The process that ran the model ended (SIGKILL).');
const refused = () => new ThalamusError('GRAPH_INVALID', 'ONNX Runtime refused the model: no such file.');

describe('LoadTrouble', () => {
  it('takes two ends in a row for chance, and gives up for a while at the third', () => {
    const trouble = new LoadTrouble();
    trouble.failed(crash(), 0);
    trouble.failed(crash(), 0);
    expect([trouble.isLacking, trouble.errorAt(0)]).toEqual([false, undefined]);
    trouble.failed(crash(), 0);
    expect(trouble.errorAt(0)).toMatchObject({ code: 'EXPERT_CRASHED', retryAfterMs: 5_000 });
    expect(trouble.errorAt(0)?.message).toContain('ended 3 times while it loaded the model');
    expect([trouble.isLacking, trouble.errorAt(5_000)]).toEqual([true, undefined]);
  });

  it('forgets ends once it was loaded', () => {
    const trouble = new LoadTrouble();
    for (let round = 0; round < 5; round++) {
      trouble.failed(crash(), 0);
      trouble.failed(crash(), 0);
      trouble.loaded();
    }
    expect(trouble.errorAt(0)).toBeUndefined();
  });

  it('gives a refusal as it is, and waits longer before each further try', () => {
    const trouble = new LoadTrouble();
    const pauses: number[] = [];
    for (let round = 0; round < 8; round++) {
      trouble.failed(refused(), 0);
      expect(trouble.errorAt(0)?.message).toContain('no such file');
      let pause = 0;
      while (trouble.errorAt(pause)) pause += 1_000;
      pauses.push(pause / 1_000);
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 300, 300]);
    trouble.loaded();
    expect(trouble.isLacking).toBe(false);
  });
});
