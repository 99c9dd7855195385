// The recorded prompts of the fleet by what they may be used for, with vectors and losses, as train-fleet-router.mjs cuts them.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { embedAll } from '../embeddings.mjs';

const WIDTH = 384;

function useOf(prompt) {
  const digest = createHash('sha256').update(`fleet-v1\n${prompt}`).digest('hex');
  const at = Number.parseInt(digest.slice(0, 8), 16) % 100;
  if (at < 50) return 'router';
  if (at < 65) return 'choose';
  return at < 80 ? 'calibrate' : 'test';
}

/** Parts `router`, `choose`, `calibrate` and `test`, and the price of each candidate of the committed router. */
export async function readFleet(base, zoo) {
  const [, ...lines] = gunzipSync(readFileSync(join(zoo, 'fleet/gsm8k.jsonl.gz')))
    .toString('utf8')
    .trimEnd()
    .split('\n');
  const all = lines.map((line) => JSON.parse(line));
  const features = await embedAll(
    base,
    all.map(({ prompt }) => prompt),
    'gsm8k',
  );
  const parts = Object.fromEntries(
    ['router', 'choose', 'calibrate', 'test'].map((use) => {
      const indices = all.map((_, at) => at).filter((at) => useOf(all[at].prompt) === use);
      const vectors = new Float32Array(indices.length * WIDTH);
      indices.forEach((from, to) =>
        vectors.set(features.subarray(from * WIDTH, (from + 1) * WIDTH), to * WIDTH),
      );
      return [
        use,
        {
          rows: indices.map((at) => ({ prompt: all[at].prompt, task: 'gsm8k' })),
          features: vectors,
          losses: Float64Array.from(indices.flatMap((at) => all[at].scores.map((score) => 1 - score))),
        },
      ];
    }),
  );
  const { candidates } = JSON.parse(readFileSync(join(zoo, 'fleet/fleet-router/router.json'), 'utf8'));
  const prices = candidates.map(
    ({ expert }) =>
      JSON.parse(readFileSync(join(zoo, 'fleet', expert, 'expert.json'), 'utf8')).upstream
        .priceInputUsdPerMtok,
  );
  return { parts, prices };
}
