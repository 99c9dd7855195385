// Measures `thalamus release compare`: a million pairs with 50 slices, as a process of its own. Writes
// docs/results/data/compare-bench.json and docs/results/compare-bench.md.
//   npm run bench:compare [-- --pairs 1000000 --runs 5]
import { spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format } from 'prettier';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: { pairs: { type: 'string', default: '1000000' }, runs: { type: 'string', default: '5' } },
});
const pairs = Number(values.pairs);
const runs = Number(values.runs);
const SLICES = 50;
const BUDGET_SECONDS = 5;
const BUDGET_MIB = 500;
/** Every so many items flips: from right to wrong, from wrong to right. */
const LOST = 211;
const WON = 97;
/** Tells what the process used, on its third stream, when it ends. */
const METER = `data:text/javascript,import{writeSync}from'node:fs';process.on('exit',()=>{const u=process.resourceUsage();writeSync(3,JSON.stringify({kib:u.maxRSS,cpuMs:(u.userCPUTime+u.systemCPUTime)/1000}))})`;

const folder = mkdtempSync(join(tmpdir(), 'thalamus-compare-'));
try {
  const before = join(folder, 'before.jsonl');
  const after = join(folder, 'after.jsonl');
  await write(before, (at) => at % WON === 0);
  await write(after, (at) => at % LOST === 0);
  const rows = [];
  for (let run = 0; run < runs; run++) {
    rows.push(await measure(before, after));
    console.log(line(rows.at(-1)));
  }
  const result = {
    pairs,
    slices: SLICES,
    bytes: statSync(before).size + statSync(after).size,
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    runs: rows,
  };
  writeFileSync(
    join(root, 'docs/results/data/compare-bench.json'),
    `${JSON.stringify(result, undefined, 2)}\n`,
  );
  writeFileSync(
    join(root, 'docs/results/compare-bench.md'),
    await format(page(result), { parser: 'markdown', printWidth: 120 }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function write(path, isWrong) {
  const stream = createWriteStream(path);
  let text = '';
  for (let at = 0; at < pairs; at++) {
    const label = `intent_${at % SLICES}`;
    const prediction = isWrong(at) ? `intent_${(at + 1) % SLICES}` : label;
    text += `{"id":"item-${at}","label":"${label}","prediction":"${prediction}","score":0.${100000 + (at % 899999)}}\n`;
    if (text.length > 1e6) {
      if (!stream.write(text)) await new Promise((resume) => stream.once('drain', resume));
      text = '';
    }
  }
  stream.end(text);
  await finished(stream);
}

async function measure(before, after) {
  const begun = performance.now();
  const args = ['release', 'compare', '--before', before, '--after', after, '--slices', 'label', '--json'];
  const child = spawn(
    process.execPath,
    ['--import', METER, join(root, 'services/cli/bin/thalamus.mjs'), ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    },
  );
  const [answer, used] = await Promise.all([read(child.stdout), read(child.stdio[3])]);
  const seconds = (performance.now() - begun) / 1000;
  const { n, slices, nfr } = JSON.parse(answer);
  if (n !== pairs || slices.length !== SLICES)
    throw new Error(`compared ${n} pairs in ${slices.length} slices`);
  const lost = Array.from({ length: pairs }, (_, at) => at % LOST === 0 && at % WON !== 0).filter(
    Boolean,
  ).length;
  if (Math.abs(nfr - lost / pairs) > 1e-12) throw new Error(`nfr ${nfr} where ${lost / pairs} was made`);
  const { kib, cpuMs } = JSON.parse(used);
  return { seconds, cpuSeconds: cpuMs / 1000, peakMib: kib / 1024, load: loadavg()[0] };
}

async function read(stream) {
  let text = '';
  for await (const piece of stream.setEncoding('utf8')) text += piece;
  return text;
}

function line({ seconds, cpuSeconds, peakMib }) {
  return `${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of CPU, at most ${peakMib.toFixed(0)} MiB resident`;
}

function median(list) {
  return [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
}

function page({ bytes, node, cpu, cores, runs: rows }) {
  const middle = (name) => median(rows.map((row) => row[name]));
  const within = middle('seconds') <= BUDGET_SECONDS && middle('peakMib') <= BUDGET_MIB;
  const busy = middle('load') > cores + 1;
  return `# Speed of comparing versions

Made by \`npm run bench:compare\`: \`thalamus release compare --slices label --json\` as a process of its own, start and answer included, on
generated files of ${pairs.toLocaleString('en')} pairs in ${SLICES} slices (${(bytes / 1e6).toFixed(0)} MB in both). Each answer is checked: items, slices, and the flips that were made.
Node ${node}, ${cpu}, ${cores} cores. Raw figures: [\`data/compare-bench.json\`](data/compare-bench.json).

| run | seconds | CPU seconds | peak resident, MiB | load of the machine |
| --- | --- | --- | --- | --- |
${rows.map((row, at) => `| ${at + 1} | ${row.seconds.toFixed(2)} | ${row.cpuSeconds.toFixed(2)} | ${row.peakMib.toFixed(0)} | ${row.load.toFixed(1)} |`).join('\n')}
| **median** | ${middle('seconds').toFixed(2)} | ${middle('cpuSeconds').toFixed(2)} | ${middle('peakMib').toFixed(0)} | |

Budget: ${BUDGET_SECONDS} s and ${BUDGET_MIB} MiB. The median is ${within ? 'within' : 'NOT within'} it.${busy ? ` Other work kept the machine busy (load above its ${cores} cores): seconds say more of that than of the comparison, which has one thread and needs its CPU seconds on a machine of its own.` : ''}
`;
}
