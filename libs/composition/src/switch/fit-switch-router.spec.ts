import { toThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { fitSwitchRouter, type FitSwitchRouterOptions, type ParentTexts } from './fit-switch-router.js';

/** Remembers what it was asked; a text that begins with "a" lies on one axis, every other text on another. */
function rememberingEncoder() {
  const seen: string[] = [];
  return {
    seen,
    encode: (texts: readonly string[]) => {
      seen.push(...texts);
      const embeddings = new Float32Array(texts.length * 2);
      texts.forEach((text, row) => (embeddings[row * 2 + (text.startsWith('a') ? 0 : 1)] = 1));
      return Promise.resolve({ embeddings, width: 2 });
    },
  };
}

const rows = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix} row ${index}`);
const options = (change: Partial<FitSwitchRouterOptions> = {}): FitSwitchRouterOptions => ({
  l2: 0,
  rowsPerParent: 1000,
  seed: 0,
  onEmbedded: () => undefined,
  ...change,
});
const parents = (change: Partial<ParentTexts> = {}): ParentTexts[] => [
  { name: 'zebra', train: rows('z', 60), test: [] },
  { name: 'apple', train: rows('a', 60), test: [], ...change },
];

describe('fitSwitchRouter', () => {
  it('tells parents apart, in the order of their names, whatever the strength', async () => {
    for (const l2 of [0, 0.001]) {
      const {
        head,
        width,
        validationAccuracy,
        rows: counts,
      } = await fitSwitchRouter(rememberingEncoder(), parents(), options({ l2 }));
      expect(width).toBe(2);
      expect(validationAccuracy).toBe(1);
      expect([...counts]).toEqual([
        ['apple', 60],
        ['zebra', 60],
      ]);
      // The first output is apple's: texts that begin with "a" speak for it.
      expect(head.weights[0]!).toBeGreaterThan(head.weights[2]!);
      expect(head.weights[3]!).toBeGreaterThan(head.weights[1]!);
    }
  });

  it('never embeds a text of any test split, whatever its case and spacing', async () => {
    const encoder = rememberingEncoder();
    const test = ['  A ROW   3', 'a row 4', 'z row 5'];
    const { rows: counts } = await fitSwitchRouter(encoder, parents({ test }), options());
    expect(encoder.seen.filter((text) => ['a row 3', 'a row 4', 'z row 5'].includes(text))).toEqual([]);
    expect([...counts.values()]).toEqual([58, 59]);
  });

  it('takes each text once and at most so many, chosen by the seed', async () => {
    const run = async (seed: number) => {
      const encoder = rememberingEncoder();
      const twice = [...rows('a', 60), ...rows('a', 60)];
      const { rows: counts } = await fitSwitchRouter(
        encoder,
        parents({ train: twice }),
        options({ rowsPerParent: 30, seed }),
      );
      expect([...counts.values()]).toEqual([30, 30]);
      return encoder.seen.sort();
    };
    expect(await run(1)).toEqual(await run(1));
    expect(await run(1)).not.toEqual(await run(2));
  });

  it('refuses a parent whose every row is a test row', async () => {
    const work = fitSwitchRouter(rememberingEncoder(), parents({ test: rows('a', 60) }), options());
    const error = toThalamusError(
      await work.then(
        () => undefined,
        (cause: unknown) => cause,
      ),
    );
    expect(error).toMatchObject({ code: 'DATASET_INVALID' });
    expect(error.message).toContain('No training row of apple is left');
  });
});
