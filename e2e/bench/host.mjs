// The zoo's encoder over OIP gRPC: the expert host beside MLServer with the same graph and beside a plain loop of tokenizer and
// ONNX Runtime in this process. Sides take turns in one run; every answer is checked against the oracle, the same graph run alone.
//   npm run bench:host [-- --rounds 5 --seconds 1 --cells short/1,long/64 --peers mlserver --out FILE]
// A cell is `length/concurrency` or `length/concurrency/texts of a request`; `word`, `short` and `long` are texts of 4, 16 and 128 tokens, `mixed` are texts as they come, of 3 to 256 tokens.
// MLServer is got once, into a cache; without it (`--peers none`, or when it cannot be installed) the rest is measured, and the bench
// says so. Ideas are tried beside what there is: `--also '{"THALAMUS_BATCH_DELAY_MS":"0"}'` starts one more host with other settings,
// `--against FOLDER` one of another checkout, built.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import prettier from 'prettier';
import { stopAll } from './gateway/children.mjs';
import { providePeer } from './gateway/peers.mjs';
import { median } from './gateway/statistics.mjs';
import { inProcess, mlserver, thalamus } from './host/contenders.mjs';
import { openOracle, TOLERANCE } from './host/oracle.mjs';
import { summaryOf, tableOf } from './host/report.mjs';
import { textsOf } from './host/texts.mjs';
import { takeTurn } from './host/turn.mjs';

const CELLS =
  'word/1,word/16,word/64,short/1,short/16,short/64,long/1,long/16,long/64,short/16/8,long/16/8,mixed/16/8';
const TEXTS = 128;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    cells: { type: 'string', default: CELLS },
    peers: { type: 'string', default: 'mlserver' },
    also: { type: 'string' },
    against: { type: 'string' },
    out: { type: 'string' },
  },
});
const [rounds, seconds] = [positive('rounds'), positive('seconds')];
const cells = values.cells.split(',').map(readCell);

const oracle = await openOracle();
const folder = mkdtempSync(join(tmpdir(), 'thalamus-bench-host-'));
const hosts = [await thalamus(oracle.name)];
try {
  if (values.also)
    hosts.push(await thalamus(oracle.name, { name: 'also', environment: JSON.parse(values.also) }));
  if (values.against) hosts.push(await thalamus(oracle.name, { name: 'against', checkout: values.against }));
  const contenders = [...inProcess(oracle), ...hosts, ...(await peers())];
  const prompts = {};
  for (const { length } of cells) prompts[length] ??= await withAnswers(length);
  for (const contender of contenders)
    for (const cell of cells)
      await takeTurn(contender, { ...cell, prompts: prompts[cell.length], seconds: 0.2 });
  const raw = [];
  for (let round = 0; round < rounds; round++) {
    const order = contenders.map((_, i) => contenders[(i + round) % contenders.length]);
    for (const cell of cells)
      for (const contender of order) {
        const { length, concurrency, batch } = cell;
        const turn = await takeTurn(contender, { ...cell, prompts: prompts[length], seconds });
        raw.push({ round, length, concurrency, batch, side: contender.name, ...turn, load: loadavg()[0] });
      }
    console.error(`round ${round + 1} of ${rounds}`);
  }
  const head = {
    command: `npm run bench:host -- --rounds ${rounds} --seconds ${seconds} --peers ${values.peers}`,
    date: new Date().toISOString(),
    machine: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
    node: process.version,
    medianLoad: median(raw.map(({ load }) => load)),
    tolerance: TOLERANCE,
    sides: contenders.map(({ name, title, calibration }) => ({ name, title, calibration })),
  };
  const summary = summaryOf(raw, cells);
  if (values.out) {
    const text = JSON.stringify({ head, summary, raw });
    writeFileSync(values.out, await prettier.format(text, { parser: 'json', printWidth: 240 }));
  }
  console.log(tableOf(head, summary));
  const wrong = raw.reduce((sum, turn) => sum + turn.wrong + turn.failed, 0);
  if (wrong > 0) {
    console.error(`bench:host: ${wrong} answers were wrong or failed; raw data says of which side`);
    process.exitCode = 1;
  }
} finally {
  await Promise.all(hosts.map((host) => host.stop()));
  await stopAll();
  await oracle.close();
  rmSync(folder, { recursive: true, force: true });
}

async function peers() {
  if (values.peers === 'none') return [];
  try {
    providePeer('mlserver');
  } catch (fault) {
    console.error(`bench:host: measured without MLServer: ${fault.message}`);
    return [];
  }
  return mlserver(oracle, folder);
}

/** Texts of a length, and what the oracle says of each alone. */
async function withAnswers(length) {
  const texts = await textsOf(length, TEXTS, oracle.tokenizer);
  const answers = [];
  for (const text of texts) answers.push(await oracle.embed([text]));
  return texts.map((text, i) => ({ text, answer: answers[i] }));
}

function readCell(text) {
  const [, length, concurrency, batch = '1'] =
    /^(word|short|long|mixed)\/(\d+)(?:\/(\d+))?$/.exec(text) ?? [];
  if (length === undefined) return refuse(`--cells: "${text}" must be like short/16, long/64 or mixed/16/8`);
  return { length, concurrency: Number(concurrency), batch: Number(batch) };
}

function positive(name) {
  const value = Number(values[name]);
  return value > 0 ? value : refuse(`--${name} must be a number above 0, but is "${values[name]}"`);
}

function refuse(text) {
  console.error(`bench:host: ${text}`);
  process.exit(2);
}
