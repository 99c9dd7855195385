// How long `npm start` takes until the mesh says that it answers: the median of five. Every run has a data folder of its own,
// so each stores and registers the whole zoo; one run before them warms the file cache and is not counted.
//   npm run bench:start [-- --runs 5]
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePorts } from './free-ports.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const RESULTS = fileURLToPath(new URL('results/start.json', import.meta.url));
const GOAL_SECONDS = 8;
const TIMEOUT_MS = 120_000;

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' } } });
const runs = Number(values.runs);
if (!Number.isInteger(runs) || runs < 1) {
  console.error(`--runs is "${values.runs}"; it must be a whole number of at least 1.`);
  process.exit(2);
}

console.log(`cache   ${(await measure()).seconds.toFixed(2)} s, not counted`);
const measured = [];
for (let run = 1; run <= runs; run += 1) {
  const result = await measure();
  measured.push(result);
  console.log(`run ${run}   ${result.seconds.toFixed(2)} s   load ${result.load.toFixed(1)}`);
}
const sorted = measured.map(({ seconds }) => seconds).sort((a, b) => a - b);
const middle = sorted.length >> 1;
const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
const isMet = median <= GOAL_SECONDS;
const report = {
  command: 'npm run bench:start',
  date: new Date().toISOString(),
  machine: { cores: cpus().length, model: cpus()[0]?.model, node: process.version },
  goalSeconds: GOAL_SECONDS,
  medianSeconds: median,
  isMet,
  runs: measured,
};
mkdirSync(dirname(RESULTS), { recursive: true });
writeFileSync(RESULTS, `${JSON.stringify(report, null, 2)}\n`);
console.log(
  `median  ${median.toFixed(2)} s, goal ${GOAL_SECONDS} s: ${isMet ? 'met' : 'missed'}   ${RESULTS}`,
);
process.exit(isMet ? 0 : 1);

/** Seconds from `npm start` to the ready line; the mesh is stopped again by Ctrl-C. */
async function measure() {
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-bench-start-'));
  const [http, grpc] = await freePorts(2);
  const load = loadavg()[0] ?? 0;
  const startedAt = performance.now();
  const npm = spawn(
    'npm',
    ['start', '--', '--data', folder, '--port', String(http), '--grpc-port', String(grpc)],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const ended = new Promise((resolve) => npm.once('close', resolve));
  try {
    const seconds = await new Promise((resolve, reject) => {
      let said = '';
      const timer = setTimeout(() => reject(new Error(`No ready line came:\n${said}`)), TIMEOUT_MS);
      const listen = (text) => {
        said += text;
        if (!said.includes('Thalamus is ready')) return;
        clearTimeout(timer);
        resolve((performance.now() - startedAt) / 1000);
      };
      npm.stdout.setEncoding('utf8').on('data', listen);
      npm.stderr.setEncoding('utf8').on('data', listen);
      void ended.then(() => {
        clearTimeout(timer);
        reject(new Error(`npm start ended before the mesh was ready:\n${said}`));
      });
    });
    return { seconds, load };
  } finally {
    try {
      process.kill(-npm.pid, 'SIGINT');
    } catch {
      // It has ended by itself.
    }
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}
