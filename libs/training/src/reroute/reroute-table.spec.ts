import type { AnsweredPrompt } from '@thalamus/compatibility';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readRoutingTable } from '../router/routing-table.js';
import { rerouteTable, type RerouteFacts } from './reroute-table.js';

const facts: RerouteFacts = {
  ...{ old: 'big-1', new: 'big-2', loss: 'right' },
  ...{ licence: 'CC0-1.0', origin: 'made' },
};
const prompts = (
  answer: (at: number) => readonly [old: boolean, own: boolean],
  text = (at: number) => `Prompt ${at}?`,
) =>
  Array.from({ length: 120 }, (_, at): AnsweredPrompt => {
    const [old, own] = answer(at);
    const judged = (isRight: boolean) => ({ prediction: 'x', isRight, score: isRight ? 0.75 : 0.5 });
    return { id: `p${at}`, text: text(at), slices: ['task=a'], before: judged(old), after: judged(own) };
  });
const mixed = (at: number) => [at % 3 > 0, at % 2 > 0] as const;

describe('the table of two versions', () => {
  it('is what its text is read as, digest and losses alike', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reroute-table-'));
    try {
      for (const loss of ['right', 'score'] as const) {
        const { table, text } = rerouteTable(prompts(mixed), { ...facts, loss });
        writeFileSync(join(folder, 'T.jsonl'), text);
        expect(await readRoutingTable(join(folder, 'T.jsonl'))).toEqual(table);
        expect([...table.rows[0]!.losses]).toEqual(loss === 'right' ? [1, 1] : [0.5, 0.5]);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('holds near-duplicates as one document', () => {
    const { table } = rerouteTable(
      prompts(mixed, (at) => (at === 7 ? 'PROMPT  6!' : `Prompt ${at}?`)),
      facts,
    );
    expect(table.rows[7]!.doc).toBe(table.rows[6]!.doc);
    expect(new Set(table.rows.map(({ doc }) => doc)).size).toBe(119);
  });

  it.each([
    [
      'too few that differ',
      prompts(mixed, (at) => `Prompt ${at % 60}`),
      /Prompts that differ by more than signs and spaces: 60;/,
    ],
    ['a new version that is never wrong', prompts(() => [false, true]), /big-2 has every prompt right/],
    ['an old one that is never wrong', prompts((at) => [true, at > 5]), /big-1 has every prompt right/],
    [
      'no negative flip',
      prompts((at) => [at < 9, at < 50]),
      /No prompt that big-1 has right is wrong of big-2/,
    ],
  ])('refuses %s', (_, own, message) => {
    expect(() => rerouteTable(own, facts)).toThrow(message);
  });
});
