import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { embedTexts, type BatchEncoder, type EmbeddedTexts } from './embed-texts.js';

/** Vectors that depend on the batch a text was in, as those of a quantised encoder do. */
function encoder(): BatchEncoder & { batches: number } {
  return {
    batches: 0,
    encode(texts) {
      this.batches += 1;
      const longest = Math.max(...texts.map((text) => text.length));
      return Promise.resolve({
        embeddings: Float32Array.from(
          texts.flatMap((text) => [text.length, longest, text.codePointAt(0) ?? 0]),
        ),
        width: 3,
      });
    },
  };
}

const texts = fc.array(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 60 });

describe('embedding many texts', () => {
  it('answers in the order of the texts, in batches of like length', async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), async (given, batchSize) => {
        const fake = encoder();
        const { features, width } = await embedTexts(fake, given, { batchSize });
        expect(fake.batches).toBe(Math.ceil(given.length / batchSize));
        expect(width).toBe(3);
        given.forEach((text, row) => {
          expect(features[row * 3]).toBe(text.length);
          expect(features[row * 3 + 1]).toBeGreaterThanOrEqual(text.length);
        });
      }),
      { seed: 21, numRuns: 100 },
    );
  });

  it('gives the same bits when it goes on where an earlier run was stopped, without doing whole batches again', async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 9 }), fc.nat(), async (given, batchSize, cut) => {
        const stages: EmbeddedTexts[] = [];
        const onBatch = (_done: number, encoded: EmbeddedTexts) => {
          stages.push({ ...encoded, features: encoded.features.slice() });
        };
        const whole = await embedTexts(encoder(), given, { batchSize, onBatch });
        const resume = stages[cut % stages.length]!;
        const again = encoder();
        expect(await embedTexts(again, given, { batchSize, resume })).toEqual(whole);
        expect(again.batches).toBe(stages.length - 1 - (cut % stages.length));
      }),
      { seed: 22, numRuns: 100 },
    );
  });

  it('gives nothing for nothing', async () => {
    expect(await embedTexts(encoder(), [])).toEqual({ features: new Float32Array(), width: 0 });
  });
});
