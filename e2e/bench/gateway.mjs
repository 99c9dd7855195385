// Chat through Thalamus, with routing, beside the gateways that people use, all before one upstream that answers at once.
//   npm run bench:gateway [-- --rounds 5 --seconds 3 --peers portkey,litellm --json]
// Raw data and table are kept in docs/results. Peers are got once, into a cache: e2e/bench/gateway/peers.mjs.
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import prettier from 'prettier';
import { freePorts } from './free-ports.mjs';
import { start, stopAll, untilReady } from './gateway/children.mjs';
import { direct, litellm, portkey, thalamus } from './gateway/contenders.mjs';
import { runRounds, startLoad } from './gateway/measure.mjs';
import { readOptions, USAGE } from './gateway/options.mjs';
import { providePeer } from './gateway/peers.mjs';
import { promptSets } from './gateway/prompts.mjs';
import { summaryOf, tableOf } from './gateway/report.mjs';

const START_PEER = { portkey, litellm };
const INTERRUPTED = 130;

const options = read();
const out = resolve(options.out ?? fileURLToPath(new URL('../../docs/results', import.meta.url)));
const raw = join(out, 'data/gateway-bench.jsonl');
const folder = mkdtempSync(join(tmpdir(), 'thalamus-bench-gateway-'));
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    if (!interrupted) note('\nending what was started');
    interrupted = true;
    void stopAll().then(() => end(INTERRUPTED));
  });

try {
  await bench();
  await stopAll();
  end(0);
} catch (fault) {
  if (!interrupted) {
    console.error(`bench:gateway: ${fault.message}`);
    await stopAll();
    end(1);
  }
}

async function bench() {
  for (const peer of options.peers) providePeer(peer);
  const [upstreamPort, ...ports] = await freePorts(1 + options.peers.length);
  const upstreamMain = fileURLToPath(new URL('gateway/upstream.mjs', import.meta.url));
  const upstream = start(process.execPath, [upstreamMain, String(upstreamPort)], { ipc: true });
  let listens = false;
  upstream.child.once('message', () => (listens = true));
  await untilReady('the upstream', upstream, () => listens, 20_000);
  note('starting Thalamus');
  const ours = await thalamus(upstreamPort, folder, {
    profileFolder: options.profile && resolve(options.profile),
  });
  const turns = [
    { name: 'direct', title: 'direct', contender: direct(upstreamPort), isNew: false },
    { name: 'thalamus', title: 'Thalamus, prompts that come again', contender: ours, isNew: false },
    { name: 'thalamus-new', title: 'Thalamus, every prompt new', contender: ours, isNew: true },
  ];
  for (const [index, peer] of options.peers.entries()) {
    note(`starting ${peer}`);
    const contender = await START_PEER[peer](upstreamPort, folder, ports[index]);
    turns.push({ name: peer, title: contender.title, contender, isNew: false });
  }
  const head = {
    kind: 'run',
    command: `npm run bench:gateway -- --rounds ${options.rounds} --seconds ${options.seconds} --peers ${options.peers.join(',') || 'none'}`,
    date: new Date().toISOString(),
    machine: {
      model: cpus()[0]?.model.trim(),
      cores: cpus().length,
      node: process.version,
      load: loadavg()[0],
    },
    contenders: turns.map(({ name, title }) => ({ name, title })),
  };
  mkdirSync(join(out, 'data'), { recursive: true });
  writeFileSync(raw, `${JSON.stringify(head)}\n`);
  const rows = [];
  await runRounds({
    ...options,
    turns,
    ask: startLoad(),
    prompts: promptSets(),
    record: (row) => {
      rows.push(row);
      appendFileSync(raw, `${JSON.stringify(row)}\n`);
    },
    note,
    isStopped: () => interrupted,
  });
  if (interrupted) return;
  const summary = { ...head, endLoad: loadavg()[0], ...summaryOf(rows, head.contenders) };
  const page = join(out, 'data/gateway-bench.md');
  const style = await prettier.resolveConfig(page);
  writeFileSync(page, await prettier.format(tableOf(summary), { ...style, filepath: page }));
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
  else process.stdout.write(tableOf(summary));
  note(`raw data: ${raw}`);
}

function read() {
  try {
    const values = readOptions(process.argv.slice(2));
    if (!values.help) return values;
    console.log(USAGE);
    process.exit(0);
  } catch (fault) {
    console.error(`${fault.message}\n${USAGE}`);
    process.exit(2);
  }
}

/** Progress goes to standard error: standard output is the result. */
function note(text) {
  process.stderr.write(`${text}\n`);
}

function end(code) {
  rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}
