import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const RECORDINGS = fileURLToPath(new URL('../../../zoo/fleet/gsm8k.jsonl.gz', import.meta.url));
/** Prompts that come again and again. */
const REPEATED = 16;

/**
 * Word problems of the fleet's recordings, which its router was made for, the shortest first. `repeated` are a few of them;
 * `nextNew` never gives the same text twice, as each is numbered.
 */
export function promptSets() {
  const prompts = gunzipSync(readFileSync(RECORDINGS))
    .toString()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).prompt)
    .filter((prompt) => prompt !== undefined)
    .sort((a, b) => a.length - b.length);
  let count = 0;
  return {
    repeated: prompts.slice(0, REPEATED),
    nextNew: (size) =>
      Array.from({ length: size }, () => {
        count += 1;
        return `${count}. ${prompts[count % 256]}`;
      }),
  };
}
