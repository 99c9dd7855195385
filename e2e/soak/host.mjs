// An expert host at half of the load that it can bear, while models are unloaded and loaded again; then load/unload cycles alone.
//   npm run soak:host [-- --minutes 10 --churn 2 --cycles 100 --out FILE --picture FILE.svg]
// Every answer is checked against an oracle outside of the host. Fails when a request failed or was wrong, when the memory of host and
// inference processes together rises (the whole 95 % interval of its slope above zero, and more than 1 % of it over the run), or when
// it is more than 5 % larger after the cycles than before.
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import prettier from 'prettier';
import { memoryOf } from '../../services/expert-host/bench/host-process.mjs';
import { inferenceProcesses, startModels } from '../chaos/host/models.mjs';
import { memoryPicture } from './host/picture.mjs';
import { slopeOf } from './host/slope.mjs';

/** Models that stay, and those that are unloaded and loaded again. */
const STEADY = 'minilm-l6';
const CHURNED = ['pico', 'linear'];
/** Callers one after the other that find out what the host can bear; their batches are as large as any, so that memory is at its height. */
const CALLERS = 64;
const CALIBRATE_MS = 30_000;
/** A load makes a process warm before its memory counts. */
const SETTLE_MS = 10_000;
const SAMPLE_MS = 1_000;
const GOALS = { growth: 0.05, drift: 0.01 };

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    churn: { type: 'string', default: '2' },
    cycles: { type: 'string', default: '100' },
    out: { type: 'string' },
    picture: { type: 'string' },
  },
});
const [minutes, churnSeconds, cycles] = ['minutes', 'churn', 'cycles'].map((name) => {
  const value = Number(values[name]);
  if (value > 0) return value;
  console.error(`soak:host: --${name} must be a number above 0, but is "${values[name]}"`);
  process.exit(2);
});

const { host, client, models, stop } = await startModels();
const steady = models.find(({ name }) => name === STEADY);
const perSecond = await bearable();
const outcomes = {};
host.child.once('exit', (code, signal) => {
  if (!stopping) console.error(`the host ended by itself: ${signal ?? `exit code ${code}`}`);
});
let stopping = false;
const samples = [];
const startedAt = performance.now();
const until = startedAt + minutes * 60_000;
const sampling = setInterval(() => samples.push(sample()), SAMPLE_MS);
const churned = await Promise.all([load(), churn()]).then(([, count]) => count);
clearInterval(sampling);
const cycled = await cyclesAlone();
stopping = true;
await stop();

const counted = samples.filter(({ seconds }) => seconds * 1000 > SETTLE_MS);
const total = counted.map(({ seconds, memory }) => ({
  seconds,
  value: Object.values(memory).reduce((sum, value) => sum + value, 0),
}));
const lines = ['host', STEADY].map((name) => ({
  name,
  points: counted.flatMap(({ seconds, memory }) =>
    name in memory ? [{ seconds, value: memory[name] }] : [],
  ),
}));
const steadyTotal = lines[0].points.map(({ seconds, value }, i) => ({
  seconds,
  value: value + (lines[1].points[i]?.value ?? 0),
}));
const slope = slopeOf(steadyTotal);
const drift = slope && (slope.slope * minutes * 60) / slope.mean;
const failed = Object.entries(outcomes).reduce((sum, [key, count]) => sum + (key === 'right' ? 0 : count), 0);
const summary = {
  machine: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
  loadAverage: loadavg(),
  settings: { minutes, churnSeconds, cycles, requestsPerSecond: Math.round(perSecond * 10) / 10 },
  requests: outcomes,
  unloadsAndLoads: churned,
  /** Of host and the process of the model that stays; those of models that come and go are in the samples. */
  slopeMiBPerHour: slope && {
    slope: 3600 * slope.slope,
    low: 3600 * slope.low,
    high: 3600 * slope.high,
    mean: slope.mean,
  },
  driftOverRun: drift,
  cycles: cycled,
};
console.log(JSON.stringify(summary, null, 2));
if (values.out) {
  const text = JSON.stringify({ summary, samples });
  writeFileSync(values.out, await prettier.format(text, { parser: 'json', printWidth: 160 }));
}
if (values.picture)
  writeFileSync(
    values.picture,
    memoryPicture(`Expert host, ${minutes} min at half load with model churn`, [
      ...lines,
      { name: 'all together', points: total },
    ]),
  );
const rises = slope !== undefined && slope.low > 0 && drift > GOALS.drift;
if (failed > 0 || rises || cycled.growth > GOALS.growth) process.exitCode = 1;
console.log(
  `${failed} requests failed; memory ${rises ? 'rises' : 'does not rise'}; after ${cycles} cycles ${(100 * cycled.growth).toFixed(1)} % (goal ${100 * GOALS.growth} %)`,
);

/** Requests a second that as many callers get answered: half of it is what the soak sends. */
async function bearable() {
  const end = performance.now() + CALIBRATE_MS;
  let answered = 0;
  const work = async (caller) => {
    for (let i = caller; performance.now() < end; i += CALLERS, answered++) await steady.ask(i);
  };
  await Promise.all(Array.from({ length: CALLERS }, (_, caller) => work(caller)));
  return answered / (CALIBRATE_MS / 1000);
}

/** Sends at half of the bearable rate, whether answers have come or not. */
async function load() {
  const pending = new Set();
  const everyMs = 2000 / perSecond;
  for (let i = 0; performance.now() < until; i++) {
    await sleepUntil(startedAt + i * everyMs);
    const asked = count(steady.ask(i)).finally(() => pending.delete(asked));
    pending.add(asked);
  }
  await Promise.all(pending);
}

/** Unloads a model and loads it again, in turn, asking it after each load. */
async function churn() {
  let done = 0;
  for (; performance.now() < until; done++) {
    await sleepUntil(startedAt + done * churnSeconds * 1000);
    await again(CHURNED[done % CHURNED.length], done);
  }
  return done;
}

/** Unloads, loads and asks; what fails is counted with the requests. */
async function again(name, index) {
  const { ask } = models.find((model) => model.name === name);
  await count(
    client
      .repositoryModelUnload({ modelName: name })
      .then(() => client.repositoryModelLoad({ modelName: name }))
      .then(() => ask(index)),
    name,
  );
}

/** Memory of everything before and after loading and unloading, nothing else going on. */
async function cyclesAlone() {
  for (let i = 0; i < 10; i++) await again(CHURNED[i % CHURNED.length], i);
  const before = await settled();
  for (let i = 0; i < cycles; i++) await again(CHURNED[i % CHURNED.length], i);
  const after = await settled();
  return { count: cycles, beforeMiB: before, afterMiB: after, growth: all(after) / all(before) - 1 };
}

async function settled() {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return memory();
}

function all(byName) {
  return Object.values(byName).reduce((sum, value) => sum + value, 0);
}

function memory() {
  const rss = (pid) => {
    try {
      return Math.round(10 * memoryOf(pid).rssMiB) / 10;
    } catch {
      return 0; // It has ended meanwhile.
    }
  };
  const processes = [...inferenceProcesses(host.pid)].map(([name, pids]) => [
    name,
    pids.reduce((sum, pid) => sum + rss(pid), 0),
  ]);
  return Object.fromEntries([['host', rss(host.pid)], ...processes]);
}

function sample() {
  return { seconds: Math.round((performance.now() - startedAt) / 100) / 10, memory: memory() };
}

async function count(asked, name = STEADY) {
  const outcome = await asked.then(
    (isRight) => (isRight ? 'right' : 'wrong'),
    (fault) => fault.code ?? fault.message,
  );
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  if (outcome !== 'right')
    console.error(`${Math.round((performance.now() - startedAt) / 1000)} s: ${name}: ${outcome}`);
}

function sleepUntil(at) {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, at - performance.now())));
}
