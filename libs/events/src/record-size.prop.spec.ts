import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { BusRecord } from './event-bus.port.js';
import { checkRecordSizes, MAX_RECORD_BYTES, recordBytes, splitBySize } from './record-size.js';

const records = fc.array(
  fc.record({
    topic: fc.constantFrom('a', 'b'),
    key: fc.string({ maxLength: 5 }),
    value: fc.oneof(fc.constant(null), fc.uint8Array({ maxLength: 300 })),
    headers: fc.dictionary(fc.string({ minLength: 1, maxLength: 5 }), fc.string({ maxLength: 10 })),
  }),
  { maxLength: 40 },
);

it('parts hold every record once, in order, and none is larger than it may be unless it is a single record', () => {
  fc.assert(
    fc.property(records, fc.integer({ min: 1, max: 1_000 }), (all: BusRecord[], maxBytes) => {
      const parts = splitBySize(all, maxBytes);
      expect(parts.flat()).toEqual(all);
      for (const part of parts) {
        expect(part.length).toBeGreaterThan(0);
        const bytes = part.reduce((sum, record) => sum + recordBytes(record), 0);
        expect(part.length === 1 || bytes <= maxBytes).toBe(true);
      }
    }),
    { seed: 20261125 },
  );
});

it('counts bytes, not characters, of key, headers and value', () => {
  expect(recordBytes({ topic: 't', key: 'é', value: new Uint8Array(3), headers: { a: '日本' } })).toBe(
    2 + 3 + 1 + 6,
  );
});

it('takes the largest record and refuses one byte more; a dead letter may have its facts beside', () => {
  const at = (bytes: number, topic = 't'): BusRecord => ({
    topic,
    key: 'k',
    value: new Uint8Array(bytes - 1),
    headers: {},
  });
  expect(() => {
    checkRecordSizes([at(MAX_RECORD_BYTES)]);
  }).not.toThrow();
  expect(() => {
    checkRecordSizes([at(10), at(MAX_RECORD_BYTES + 1)]);
  }).toThrow(/has 1044481 bytes; at most 1044480 are taken/);
  expect(() => {
    checkRecordSizes([at(MAX_RECORD_BYTES + 2_000, 't.dlq')]);
  }).not.toThrow();
});
