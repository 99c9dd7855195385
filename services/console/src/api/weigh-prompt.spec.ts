import { describe, expect, it } from 'vitest';
import { readWeighing, weighQuestion } from './weigh-prompt.js';

const answer = (more: readonly { readonly name: string }[] = []) => ({
  outputs: [
    { name: 'label', datatype: 'BYTES', shape: [1], data: ['card_arrival'] },
    { name: 'score', datatype: 'FP32', shape: [1], data: [0.75] },
    { name: 'scores', datatype: 'FP32', shape: [1, 2], data: [0.75, 0.25] },
    { name: 'router_weights', datatype: 'FP32', shape: [1, 3], data: [0.5, 0.375, 0.125] },
    { name: 'parent', datatype: 'BYTES', shape: [1], data: ['banking77'] },
    ...more,
  ],
});

describe('a prompt that is weighed', () => {
  it('is one text', () => {
    expect(weighQuestion('hello').inputs).toEqual([
      { name: 'text', datatype: 'BYTES', shape: [1], data: ['hello'] },
    ]);
  });

  it('comes back as weights, head and label', () => {
    expect(readWeighing(answer())).toEqual({
      weights: [0.5, 0.375, 0.125],
      parent: 'banking77',
      label: 'card_arrival',
      score: 0.75,
      abstains: undefined,
    });
  });

  it.each([true, false])('says whether it abstains: %s', (abstains) => {
    const output = { name: 'abstain', datatype: 'BOOL', shape: [1], data: [abstains] };
    expect(readWeighing(answer([output])).abstains).toBe(abstains);
  });

  it('with a mask comes back with the best word of the first', () => {
    const { outputs } = answer();
    const [, , , weights, parent] = outputs;
    const masked = {
      outputs: [
        { name: 'token', datatype: 'INT64', shape: [2, 2], data: [7, 8, 9, 10] },
        { name: 'token_str', datatype: 'BYTES', shape: [2, 2], data: ['pain', 'ache', 'left', 'right'] },
        { name: 'score', datatype: 'FP32', shape: [2, 2], data: [0.5, 0.25, 0.75, 0.125] },
        weights!,
        parent!,
      ],
    };
    expect(readWeighing(masked)).toMatchObject({ label: 'pain', score: 0.5, parent: 'banking77' });
  });

  it('is refused where there are no weights', () => {
    const plain = { outputs: answer().outputs.filter(({ name }) => name !== 'router_weights') };
    expect(() => readWeighing(plain)).toThrow(/no composition/);
  });
});
