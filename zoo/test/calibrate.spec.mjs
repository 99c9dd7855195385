import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { certaintyOf } from '../scripts/classifiers/calibrate.mjs';

const CLASSES = 3;

/** Rows whose classes are drawn from the softmax of their logits, and the log-probabilities of those logits times `factor`. */
function drawn(rows, factor) {
  const random = createRandom(5);
  const softmax = (logits) => {
    const all = logits.map(Math.exp);
    const sum = all.reduce((a, b) => a + b, 0);
    return all.map((x) => x / sum);
  };
  const logs = new Float64Array(rows * CLASSES);
  const classes = Int32Array.from({ length: rows }, (_, row) => {
    const logits = Array.from({ length: CLASSES }, () => 6 * random.next() - 3);
    softmax(logits.map((x) => x * factor)).forEach((p, k) => (logs[row * CLASSES + k] = Math.log(p)));
    const at = random.next();
    const [first, second] = softmax(logits);
    return at < first ? 0 : at < first + second ? 1 : 2;
  });
  return { logs, classes };
}

describe('the certainty of a head', () => {
  it.each([0.25, 1, 4])('is found again where it was multiplied by %f', (factor) => {
    const { logs, classes } = drawn(4000, factor);
    expect(Math.abs(certaintyOf(logs, classes) * factor - 1)).toBeLessThan(0.08);
  });

  it('leaves alone what is as certain as it should be', () => {
    const { logs, classes } = drawn(4000, 0.25);
    const factor = certaintyOf(logs, classes);
    const scaled = drawn(4000, 0.25 * factor);
    expect(certaintyOf(scaled.logs, classes)).toBeCloseTo(1, 2);
  });
});
