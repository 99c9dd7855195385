import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { SAMPLES } from '../src/pages/playground/samples.js';

const FLEET = join(import.meta.dirname, '../../../zoo/fleet');

function rowsOf<T>(file: string): T[] {
  const lines = gunzipSync(readFileSync(join(FLEET, file)))
    .toString('utf8')
    .split('\n');
  return lines.slice(1).flatMap((line) => (line === '' ? [] : [JSON.parse(line) as T]));
}

describe('samples of chat', () => {
  const recorded = new Map(
    rowsOf<{ id: number; prompt: string; responses: (string | null)[] }>('gsm8k.jsonl.gz').map((row) => [
      row.prompt,
      row,
    ]),
  );
  const seen = new Set(rowsOf<{ id: string }>('losses.jsonl.gz').map(({ id }) => id));

  it.each(SAMPLES['text-generation'])('"$title" is recorded for every model', ({ prompt }) => {
    const row = recorded.get(prompt);
    expect(row?.responses.every((answer) => answer !== null && answer !== '')).toBe(true);
  });
  it.each(SAMPLES['text-generation'])('"$title" was never seen by the router', ({ prompt }) => {
    expect(seen.has(`gsm8k:${recorded.get(prompt)?.id ?? -1}`)).toBe(false);
    expect(seen.size).toBeGreaterThan(0);
  });
});
