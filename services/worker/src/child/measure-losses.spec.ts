import { writePicoBase, writePicoMaskedLm } from '@thalamus/testing';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { WorkProgress } from '../application/job-process.port.js';
import { CheckpointRequests } from './checkpoint-requests.js';
import { measureLosses } from './measure-losses.js';
import { WorkReporter } from './work-reporter.js';

const WORDS = 'the card lost my law court hello world money please block it'.split(' ');
let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'measure-losses-'));
  const on = { name: 'pico', digest: (await writePicoBase(at('base'), { name: 'pico' })).digest };
  for (const seed of [1, 2])
    await writePicoMaskedLm(at(`m${seed}`), { name: `m${seed}`, seed }, on, { rank: 2, alpha: 4 });
  const texts = Array.from(
    { length: 100 },
    (_, row) => `${WORDS[row % 12]!} ${WORDS[(row * 5) % 12]!} ${row}`,
  );
  writeFileSync(at('p.jsonl'), texts.map((text) => JSON.stringify({ text })).join('\n'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Measures part 1 of 2, which has chunks 0 and 2 of four, into a file; what was said on the way. */
async function measured(losses: string) {
  const said: WorkProgress[] = [];
  const requests = new CheckpointRequests();
  requests.ask();
  let checkpoints = 0;
  const result = await measureLosses(
    {
      kind: 'loss-table',
      data: { path: at('p.jsonl'), name: 'p', label: 'p@1' },
      expertFolders: [at('m1'), at('m2')],
      baseFolder: at('base'),
      part: { part: 1, parts: 2 },
      masking: { masks: 4, seed: 0 },
      common: {
        threads: 1,
        ignoredColumns: [],
        checkpointFiles: { features: '', training: '', losses: at(losses) },
      },
    },
    {
      reporter: new WorkReporter((progress) => said.push(progress)),
      requests,
      onCheckpoint: () => (checkpoints += 1),
    },
  );
  return { result, first: said[0], checkpoints, bytes: readFileSync(at(losses), 'utf8') };
}

it('goes on from what is in its file, to the same bytes, and passes over what is of another run', async () => {
  const whole = await measured('whole.jsonl');
  expect(whole.result).toMatchObject({ labels: 0, rows: { measured: 64 } });
  expect(whole.first).toMatchObject({ stage: 'measuring', done: 0, total: 128 });
  expect(whole.checkpoints).toBe(1);
  // A line for the run, then two chunks of each expert.
  const lines = whole.bytes.trimEnd().split('\n');
  expect(lines.slice(1).map((line) => JSON.parse(line) as object)).toEqual(
    [0, 1].flatMap((expert) => [0, 2].map((chunk) => expect.objectContaining({ expert, chunk }) as object)),
  );

  writeFileSync(at('cut.jsonl'), whole.bytes.slice(0, lines.slice(0, 4).join('\n').length + 20));
  const resumed = await measured('cut.jsonl');
  expect(resumed.first).toMatchObject({ done: 96, total: 128 });
  expect(resumed.bytes).toBe(whole.bytes);

  writeFileSync(at('other.jsonl'), `{"lossTableRun":"sha256:${'0'.repeat(64)}"}\n`);
  const anew = await measured('other.jsonl');
  expect(anew.first).toMatchObject({ done: 0, total: 128 });
  expect(anew.bytes).toBe(whole.bytes);
});
