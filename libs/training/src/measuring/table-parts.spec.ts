import type { ExpertManifest } from '@thalamus/bundle';
import { describe, expect, it } from 'vitest';
import { lossTableFile } from './loss-table-file.js';
import { makeTableRun } from './make-table-run.js';
import type { TableCell } from './partial-table.js';
import { joinParts, ownsChunk } from './table-parts.js';
import { promptChunks, type TableExpert } from './table-run.js';

const expert = (name: string, labels: readonly string[]): TableExpert => ({
  folder: `${name}@1`,
  digest: `sha256:${name.repeat(64)}`,
  manifest: {
    name,
    version: '1',
    kind: 'probe',
    task: 'text-classification',
    labels,
    flopsPerToken: 10,
  } as unknown as ExpertManifest,
});
const lines = (count: number, label: string) =>
  new TextEncoder().encode(
    Array.from({ length: count }, (_, at) => JSON.stringify({ text: 'w '.repeat(1 + at), label })).join('\n'),
  );
const run = makeTableRun(
  [expert('a', ['yes', 'no']), expert('b', ['no', 'perhaps', 'never'])],
  { bytes: lines(150, 'no'), file: 'p.jsonl' },
  { masks: 4, seed: 0 },
);
const chunks = promptChunks(run.prompts);
const cell = (of: number, chunk: number): TableCell => ({
  expert: of,
  chunk,
  rows: chunks[chunk]!.map((prompt) => [(prompt + of) / 1_000]),
});
/** A table of the cells for which `isKept` holds. */
const kept = (isKept: (expert: number, chunk: number) => boolean) => ({
  get: (of: number, chunk: number) => (isKept(of, chunk) ? cell(of, chunk) : undefined),
});
const part = (number: number, parts: number) => kept((_, chunk) => ownsChunk({ part: number, parts }, chunk));
const facts = { set: 's', licence: 'CC0-1.0', origin: 'here' };

describe('a table that is measured in parts', () => {
  it('knows the scale of all experts, and refuses prompts whose labels none of them has', () => {
    expect(run).toMatchObject({ task: 'text-classification', labelCount: 3 });
    const strange = { bytes: lines(3, 'secret'), file: 'odd.jsonl' };
    const refused = () => makeTableRun(run.experts, strange, { masks: 4, seed: 0 });
    expect(refused).toThrow(/odd\.jsonl: no prompt has one of the 4 labels/);
    expect(refused).not.toThrow(/secret/);
  });

  it('has every chunk in one part, also where there are more parts than chunks', () => {
    for (const parts of [1, 2, 3, 9])
      for (const chunk of chunks.keys()) {
        const owners = Array.from({ length: parts }, (_, at) => at + 1).filter((number) =>
          ownsChunk({ part: number, parts }, chunk),
        );
        expect(owners).toEqual([(chunk % parts) + 1]);
      }
  });

  it('has the bytes of the table that was measured at once', async () => {
    const whole = await lossTableFile(run, cell, facts);
    for (const parts of [1, 2, 3, 9]) {
      const tables = Array.from({ length: parts }, (_, at) => part(at + 1, parts));
      const joined = await lossTableFile(run, joinParts(run, tables), facts);
      expect(joined.digest).toBe(whole.digest);
      expect(joined.bytes).toEqual(whole.bytes);
    }
  });

  it('is refused while a cell of it is not there, or is of fewer prompts, or parts are mixed up', () => {
    const lacks = kept((of, chunk) => !(of === 1 && chunk === 3));
    expect(() => joinParts(run, [part(1, 2), lacks])).toThrow(/Part 2 of 2 lacks what b loses/);
    expect(() => joinParts(run, [part(2, 2), part(1, 2)])).toThrow(/Part 1 of 2 lacks what a loses/);
    const short = { get: (of: number, chunk: number) => ({ ...cell(of, chunk), rows: [[0.5]] }) };
    expect(() => joinParts(run, [short])).toThrow(/Part 1 of 1 lacks/);
  });
});
