import { describe, expect, it } from 'vitest';
import { agreementOf, labelOf, type HostAnswer } from './answer-agreement.js';

const floats = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

function answer(
  name: string,
  shape: readonly number[],
  raw: Uint8Array,
  { labels, datatype = 'FP32' }: { readonly labels?: string; readonly datatype?: string } = {},
): HostAnswer {
  const parameters = labels
    ? { labels: { parameterChoice: { case: 'stringParam' as const, value: labels } } }
    : {};
  const output = { name, datatype, shape: shape.map(BigInt), parameters };
  return { outputs: [output], rawOutputContents: [raw] } as unknown as HostAnswer;
}
const scores = (rows: readonly (readonly number[])[], labels: readonly string[]) =>
  answer('scores', [rows.length, labels.length], floats(rows.flat()), { labels: JSON.stringify(labels) });
const agrees = (a: HostAnswer, b: HostAnswer) => agreementOf(a, b).agree;

describe('the agreement of two versions', () => {
  it('is that of labels, whatever their order and scores', () => {
    const stable = scores([[0.9, 0.1]], ['a', 'b']);
    expect(agreementOf(stable, scores([[0.4, 0.6]], ['b', 'a']))).toEqual({
      agree: true,
      stableLabel: 'a',
      candidateLabel: 'a',
    });
    expect(agreementOf(stable, scores([[0.6, 0.4]], ['b', 'a']))).toEqual({
      agree: false,
      stableLabel: 'a',
      candidateLabel: 'b',
    });
  });

  it('is that of every text, and names no label of several', () => {
    const two = [
      [1, 0],
      [0, 1],
    ];
    const stable = scores(two, ['a', 'b']);
    expect(agreementOf(stable, scores(two, ['a', 'b']))).toEqual({
      agree: true,
      stableLabel: '',
      candidateLabel: '',
    });
    expect(agrees(stable, scores([two[0]!, two[0]!], ['a', 'b']))).toBe(false);
    expect(agrees(stable, scores([two[0]!], ['a', 'b']))).toBe(false);
    expect(labelOf(stable)).toBe('');
    expect(labelOf(scores([two[1]!], ['a', 'b']))).toBe('b');
  });

  it('of embeddings is a cosine of 0.99 for every text', () => {
    const stable = answer('embedding', [2, 2], floats([1, 0, 0, 2]));
    const turned = (degrees: number) => {
      const angle = (degrees * Math.PI) / 180;
      return answer('embedding', [2, 2], floats([Math.cos(angle), Math.sin(angle), 0, 9]));
    };
    expect(agrees(stable, turned(8))).toBe(true);
    expect(agrees(stable, turned(9))).toBe(false);
    expect(agrees(stable, answer('embedding', [2, 2], floats([0, 0, 0, 2])))).toBe(false);
    expect(agrees(stable, answer('embedding', [1, 4], floats([1, 0, 0, 2])))).toBe(false);
  });

  it('of other numbers is the place of the greatest in each row, of all else the bytes', () => {
    const stable = answer('logits', [1, 2, 3], floats([1, 5, 2, 9, 0, 0]));
    expect(agrees(stable, answer('logits', [1, 2, 3], floats([0, 9, 8, 1, 0, 0])))).toBe(true);
    expect(agrees(stable, answer('logits', [1, 2, 3], floats([0, 8, 9, 1, 0, 0])))).toBe(false);
    expect(agrees(stable, answer('others', [1, 2, 3], floats([1, 5, 2, 9, 0, 0])))).toBe(false);
    const bytes = (text: string) => answer('token', [1], Buffer.from(text), { datatype: 'BYTES' });
    expect(agrees(bytes('x'), bytes('x'))).toBe(true);
    expect(agrees(bytes('x'), bytes('y'))).toBe(false);
  });

  it('is not there with an answer that has nothing, or labels that cannot be read', () => {
    const nothing = { outputs: [], rawOutputContents: [] };
    expect(agrees(scores([[1, 0]], ['a', 'b']), nothing)).toBe(false);
    const odd = answer('scores', [1, 2], floats([1, 0]), { labels: '{' });
    expect(agreementOf(odd, scores([[1, 0]], ['a', 'b'])).stableLabel).toBe('');
    expect(labelOf(nothing)).toBe('');
  });
});
