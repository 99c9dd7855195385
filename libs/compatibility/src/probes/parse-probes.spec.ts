import { ThalamusError } from '@thalamus/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_PROBE_BYTES, MAX_PROBES, parseProbes, probesIn } from './parse-probes.js';

const row = (change: Record<string, unknown> = {}) =>
  JSON.stringify({ id: 'q1', text: 'where is my card', label: 'card', ...change });
const messageOf = (content: string): string => {
  try {
    parseProbes(content, 'p.jsonl');
  } catch (fault) {
    if (ThalamusError.is(fault) && fault.code === 'DATASET_INVALID') return fault.message;
    throw fault;
  }
  throw new Error('it was read');
};

describe('parseProbes', () => {
  it('gives back what was written, whatever the texts are', () => {
    const word = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => text.trim() !== '');
    const probes = fc.uniqueArray(fc.record({ id: word, text: word, label: word }), {
      selector: ({ id }) => id,
      minLength: 1,
    });
    fc.assert(
      fc.property(probes, fc.constantFrom('\n', '\r\n', '\n\n'), (written, end) => {
        const content = written.map((probe) => JSON.stringify(probe)).join(end);
        expect(parseProbes(`\uFEFF${content}${end}`, 'p.jsonl')).toEqual(written);
      }),
    );
  });

  it.each([
    ['nothing', '\n \n', 'p.jsonl holds no probes'],
    ['no JSON', `${row()}\n{secret`, 'line 2 is no JSON object'],
    ['a list', '["secret"]', 'line 1 is no JSON object'],
    ['an unknown field', row({ secret: 'secret' }), 'line 1 has a field beside id, text, label'],
    ['no label', row({ label: undefined }), 'line 1 needs "label"'],
    ['an empty text', row({ text: ' ' }), 'line 1 needs "text"'],
    ['a number for an id', row({ id: 7 }), 'line 1 needs "id"'],
    ['a long label', row({ label: 'secret'.repeat(100) }), 'line 1 has a "label" of 600 characters'],
    ['an id twice', `${row()}\n\n${row({ text: 'secret' })}`, 'line 3 has the id of line 1'],
  ])('refuses %s by line, and does not say what stands there', (_, content, part) => {
    const message = messageOf(content);
    expect(message).toContain(part);
    expect(message).not.toContain('secret');
  });

  it('refuses more than it takes', () => {
    const rows = (n: number) => Array.from({ length: n }, (_, at) => row({ id: String(at) })).join('\n');
    expect(parseProbes(rows(MAX_PROBES), 'p.jsonl')).toHaveLength(MAX_PROBES);
    expect(messageOf(rows(MAX_PROBES + 1))).toContain(`line ${MAX_PROBES + 1} is one too many`);
  });
});

describe('probesIn', () => {
  const bytes = (content: string) => new TextEncoder().encode(content);

  it('reads bytes, with or without a byte order mark', () => {
    for (const mark of ['', '\uFEFF'])
      expect(probesIn(bytes(`${mark}${row()}`), 'p.jsonl')).toEqual([
        { id: 'q1', text: 'where is my card', label: 'card' },
      ]);
  });

  it('refuses what is not UTF-8 and what is too large, by the name of the file', () => {
    const latin = Uint8Array.from([...bytes('{"id":"caf'), 0xe9, ...bytes('"}')]);
    expect(() => probesIn(latin, 'p.jsonl')).toThrow(/^p\.jsonl is not UTF-8/);
    expect(() => probesIn(new Uint8Array(MAX_PROBE_BYTES + 1), 'p.jsonl')).toThrow(
      /^p\.jsonl is larger than 16 MiB/,
    );
  });
});
