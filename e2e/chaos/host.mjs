// Kills an inference process of a running expert host with -9 every 10 s, of each model in turn, while all models are asked.
//   npm run chaos:host [-- --minutes 2 --every 10 --callers 4 --pause 5 --out FILE]
// Every answer is checked against an oracle outside of the host. Fails when fewer than 99.9 % of the answers were right, or when one
// of a model whose process was not killed was not. How soon a model answered again after its process was killed is measured and
// printed.
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { cpuMsOf } from '../../services/expert-host/bench/host-process.mjs';
import { countsOf, startLoad } from './host/load.mjs';
import { inferenceProcesses, startModels } from './host/models.mjs';

/** Share of right answers, and milliseconds until a killed process is back. */
const GOALS = { right: 0.999, backMs: 1_000 };
/** Longest wait for a killed model before the run is given up, milliseconds. */
const LOST_MS = 60_000;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    every: { type: 'string', default: '10' },
    callers: { type: 'string', default: '4' },
    pause: { type: 'string', default: '5' },
    out: { type: 'string' },
  },
});
const [minutes, every, callers, pauseMs] = ['minutes', 'every', 'callers', 'pause'].map((name) => {
  const value = Number(values[name]);
  if (value > 0) return value;
  console.error(`chaos:host: --${name} must be a number above 0, but is "${values[name]}"`);
  process.exit(2);
});

const { host, models, stop } = await startModels();
const before = inferenceProcesses(host.pid);
const load = startLoad(models, { callers, pauseMs });
const kills = [];
const startedAt = performance.now();
const until = startedAt + minutes * 60_000;
for (let at = startedAt + 1000 * every; at < until; at += 1000 * every) {
  await sleepUntil(at);
  kills.push(await kill(models[kills.length % models.length].name));
}
await sleepUntil(until);
await load.stop();
const after = inferenceProcesses(host.pid);
await stop();

const { events } = load;
const right = events.filter(({ outcome }) => outcome === 'right').length / events.length;
for (const strike of kills) strike.othersAffected = othersAffected(strike);
const bystanders = kills.reduce((sum, { othersAffected: count }) => sum + count, 0);
const exchanged = models.filter(
  ({ name }) => before.get(name)?.[0] !== after.get(name)?.[0] && !kills.some(({ model }) => model === name),
);
const summary = {
  machine: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
  loadAverage: loadavg(),
  settings: { minutes, every, callers, pauseMs },
  answers: events.length,
  right,
  byModel: countsOf(events),
  kills,
  othersAffected: bystanders,
};
if (values.out) writeFileSync(values.out, `${JSON.stringify(summary, null, 1)}\n`);
console.log(JSON.stringify(summary, null, 2));
const slowest = Math.max(...kills.map(({ answeredAgainMs }) => answeredAgainMs));
console.log(
  `${events.length} answers, ${(100 * right).toFixed(3)} % right (goal ${100 * GOALS.right} %); ` +
    `${kills.length} processes killed, ${bystanders} requests of other models affected; ` +
    `slowest back after ${Math.round(slowest)} ms with ${Math.max(...kills.map(({ cpuMs }) => cpuMs))} ms of CPU at most (goal ${GOALS.backMs} ms${slowest > GOALS.backMs ? ', missed' : ''})`,
);
if (kills.length === 0 || right < GOALS.right || bystanders > 0 || exchanged.length > 0) process.exitCode = 1;

/**
 * Kills the process of a model, and waits for a new one and for the first right answer that was asked for after that. `cpuMs` is
 * what the new process had used by then: how long it would have taken on a processor of its own.
 */
async function kill(model) {
  const pids = inferenceProcesses(host.pid).get(model);
  if (pids === undefined) throw new Error(`${model} has no process`);
  const killedAt = performance.now();
  process.kill(pids[0], 'SIGKILL');
  const newcomer = () =>
    inferenceProcesses(host.pid)
      .get(model)
      ?.find((pid) => !pids.includes(pid));
  let backMs;
  for (;;) {
    const now = performance.now();
    const current = newcomer();
    if (current !== undefined) backMs ??= now - killedAt;
    const answer = load.events.find(
      (event) => event.model === model && event.sentAt > killedAt && event.outcome === 'right',
    );
    if (answer) {
      const answeredAgainMs = Math.round(answer.answeredAt - killedAt);
      return {
        model,
        atSeconds: Math.round((killedAt - startedAt) / 1000),
        killedAt,
        processMs: Math.round(backMs ?? answeredAgainMs),
        answeredAgainMs,
        processes: pids.length,
        // A second process may answer before the new one is there.
        cpuMs: current === undefined ? 0 : cpuMsOf(current),
      };
    }
    if (now - killedAt > LOST_MS) throw new Error(`${model} did not answer within ${LOST_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Requests of other models that were under way while a process was away, and not answered rightly. */
function othersAffected({ model, killedAt, answeredAgainMs }) {
  return events.filter(
    (event) =>
      event.model !== model &&
      event.outcome !== 'right' &&
      event.sentAt < killedAt + answeredAgainMs &&
      event.answeredAt > killedAt,
  ).length;
}

function sleepUntil(at) {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, at - performance.now())));
}
