import { describe, expect, it } from 'vitest';
import { mergeFlags, parseFlags } from './flags.js';
import { limitsOf } from './limits.js';

describe('limitsOf', () => {
  it('takes the limits and leaves the wishes', () => {
    expect(limitsOf(parseFlags('size=0.5,cost<2,cost>1,latency=low,recency>3'))).toEqual([
      { name: 'cost', atMost: 2 },
      { name: 'cost', atLeast: 1 },
      { name: 'recency', atLeast: 3 },
    ]);
    expect(limitsOf(parseFlags('cost<2,cost>2'))).toHaveLength(2);
  });

  it.each([
    ['one source', 'cost<1,cost>2', ''],
    ['two sources', 'cost>2', 'size<3,cost<1'],
  ])('names the flag whose limits contradict each other, from %s', (_name, strong, weak) => {
    const flags = mergeFlags(parseFlags(strong), parseFlags(weak));
    expect(() => limitsOf(flags)).toThrow(/Flag "cost": at least 2 and at most 1 contradict/);
    expect(() => limitsOf(flags)).toThrow(
      expect.objectContaining({
        code: 'FLAG_INVALID',
        violations: [expect.objectContaining({ field: 'flags.cost' })],
      }),
    );
  });
});
