import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parsePredictions } from '@thalamus/compatibility';
import { readCsv, readDataset, writeCsv } from './csv-dataset.js';
import { predictionFile } from './prediction-file.js';

const field = fc
  .array(fc.constantFrom('a', 'é', '"', ',', '\n', '\r\n', ' ', '\u2028', '\u0085', '\t', '😀', "'"), {
    minLength: 1,
    maxLength: 20,
  })
  .map((parts) => parts.join(''))
  // Fields that are blank are refused; the reader sees a trailing CR before LF as part of the line end only outside quotes.
  .filter((text) => text.trim() !== '');

it('what was written is read back the same', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ text: field, label: field }), { minLength: 1, maxLength: 20 }),
      (rows) => {
        expect(
          readCsv(new TextEncoder().encode(writeCsv(rows)), 'a.csv').map(({ text, label }) => ({
            text,
            label,
          })),
        ).toEqual(rows);
      },
    ),
    { seed: 11, numRuns: 300 },
  );
});

it('no bytes at all make the reader fail in another way than DATASET_INVALID', () => {
  const soup = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .array(fc.constantFrom('text', 'label', ',', '"', '\n', '\r', 'x', '\u00ff'), { maxLength: 40 })
      .map((parts) => Buffer.from(parts.join(''), 'latin1')),
  );
  fc.assert(
    fc.property(soup, (bytes) => {
      try {
        expect(readDataset(bytes, 'a.csv').length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ code: 'DATASET_INVALID' });
      }
    }),
    { seed: 12, numRuns: 2_000 },
  );
});

it('a prediction file is read back by the comparison of versions, whatever line separators the labels hold', () => {
  const rows = fc.array(fc.record({ label: field, slice: fc.oneof(fc.constant(''), field) }), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(
    fc.property(rows, (given) => {
      const labels = [...new Set(given.map(({ label }) => label))];
      const dataset = given.map((row, index) => ({ ...row, text: 'x', id: String(index), line: index + 2 }));
      const logs = new Float64Array(given.length * labels.length).fill(-5);
      given.forEach(({ label }, index) => {
        logs[index * labels.length + labels.indexOf(label)] = -0.5;
      });
      const text = predictionFile(dataset, logs, labels);
      const read = parsePredictions(text, 'p.jsonl');
      expect(read.map(({ id, label, prediction }) => ({ id, label, prediction }))).toEqual(
        dataset.map(({ id, label }) => ({ id, label, prediction: label })),
      );
      expect(JSON.parse(text.split('\n')[0]!)).toMatchObject({ score: 0.606531 });
    }),
    { seed: 13, numRuns: 200 },
  );
});
