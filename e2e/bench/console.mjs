// What the console costs a person who opens it for the first time: time until it can be used, and bytes that come over the
// wire, each load in a fresh profile of a real Chromium before a running mesh on this machine.
//   npm run bench:console [-- --loads 9 --json]
// Raw data: docs/results/data/console-bench.json. It reports and asserts nothing: times are those of this machine.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { chromiumBinary } from '../../tools/provision-chromium.mjs';
import { start, stopAll, untilReady } from './gateway/children.mjs';
import { median } from './gateway/statistics.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const RESULTS = join(ROOT, 'docs/results/data/console-bench.json');
const USAGE = 'npm run bench:console [-- --loads 9 --json]';
const GOAL = { interactiveMs: 1_000, bytes: 300_000 };
const START_MS = 180_000;
const TYPED = 'I lost my card';

const { loads, json } = read();
const folder = mkdtempSync(join(tmpdir(), 'thalamus-bench-console-'));
let browser;
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    interrupted = true;
    void end(130);
  });
try {
  await bench();
  await end(0);
} catch (fault) {
  if (!interrupted) {
    console.error(`bench:console: ${fault.message}`);
    await end(1);
  }
}

async function bench() {
  const executablePath = chromiumBinary();
  const entry = start(process.execPath, [
    join(ROOT, 'services/cli/bin/thalamus.mjs'),
    ...['up', '--json', '--data', join(folder, 'mesh'), '--port', '0', '--grpc-port', '0'],
  ]);
  await untilReady('Thalamus', entry, () => entry.said().includes('"ready":true'), START_MS);
  const line = entry
    .said()
    .split('\n')
    .find((text) => text.includes('"ready":true'));
  const { http } = JSON.parse(line);
  // Without its sandbox it runs as root too, as in containers; it loads pages of this mesh alone.
  browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox'],
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  note('one load is not counted');
  await load(http);
  const measured = [];
  for (let count = 1; count <= loads; count += 1) {
    const result = await load(http);
    measured.push(result);
    note(
      `load ${count}/${loads}   interactive ${result.interactiveMs.toFixed(0)} ms   first paint ${result.firstPaintMs.toFixed(0)} ms   ${(result.bytes / 1000).toFixed(1)} kB in ${result.requests} requests`,
    );
  }
  const middle = (figure) => median(measured.map((one) => one[figure]));
  const report = {
    command: `npm run bench:console -- --loads ${loads}`,
    date: new Date().toISOString(),
    machine: {
      model: cpus()[0]?.model.trim(),
      cores: cpus().length,
      node: process.version,
      chromium: browser.version(),
      load: loadavg()[0],
    },
    goal: GOAL,
    median: {
      interactiveMs: middle('interactiveMs'),
      firstPaintMs: middle('firstPaintMs'),
      bytes: middle('bytes'),
    },
    loads: measured,
  };
  mkdirSync(join(RESULTS, '..'), { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify(report, null, 2)}\n`);
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else
    process.stdout.write(
      `median   interactive ${report.median.interactiveMs.toFixed(0)} ms (goal ${GOAL.interactiveMs})   ${(report.median.bytes / 1000).toFixed(1)} kB over the wire (goal ${GOAL.bytes / 1000})   ${RESULTS}\n`,
    );
}

/** One load with nothing cached. Interactive: what is typed stands in the field, which is there and may be used. */
async function load(http) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 820 } });
  try {
    const page = await context.newPage();
    const session = await context.newCDPSession(page);
    await session.send('Network.enable');
    let bytes = 0;
    let requests = 0;
    session.on('Network.responseReceived', () => (requests += 1));
    session.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
    const startedAt = performance.now();
    await page.goto(`${http}/console/`, { waitUntil: 'commit' });
    const field = page.getByRole('textbox', { name: 'Prompt' });
    await field.fill(TYPED, { timeout: 60_000 });
    if ((await field.inputValue()) !== TYPED) throw new Error('what was typed does not stand in the field');
    const interactiveMs = performance.now() - startedAt;
    // What is still under way belongs to the first view too; the live stream of events never ends.
    await page.waitForLoadState('load');
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
    const firstPaintMs = await page.evaluate(
      "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN",
    );
    return { interactiveMs, firstPaintMs, bytes, requests };
  } finally {
    await context.close();
  }
}

function read() {
  try {
    const { values } = parseArgs({
      options: { loads: { type: 'string', default: '9' }, json: { type: 'boolean', default: false } },
    });
    const count = Number(values.loads);
    if (!Number.isInteger(count) || count < 1 || count > 1000)
      throw new Error(`--loads is "${values.loads}"; it must be a whole number from 1 to 1000.`);
    return { loads: count, json: values.json };
  } catch (fault) {
    console.error(`${fault.message}\n${USAGE}`);
    process.exit(2);
  }
}

function note(text) {
  process.stderr.write(`${text}\n`);
}

async function end(code) {
  await browser?.close().catch(() => undefined);
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}
