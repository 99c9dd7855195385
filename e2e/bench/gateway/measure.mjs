import { fileURLToPath } from 'node:url';
import { start } from './children.mjs';
import { useOfTree } from './process-use.mjs';
import { quantile } from './statistics.mjs';

/** What is done after an answer, such as writing down its outcome, has this long to be done and counted. */
const SETTLE_MS = 500;
const CONCURRENCIES = [1, 16, 64];
/** Share of a turn that goes before it uncounted. */
const WARM_UP = 1 / 3;
/** More than any contender answers in a turn, so that a new prompt stays new. */
const NEW_A_SECOND = 2000;

/** Starts the process that asks; `ask` gives it one job. */
export function startLoad() {
  const entry = start(process.execPath, [fileURLToPath(new URL('load.mjs', import.meta.url))], { ipc: true });
  return (job) =>
    new Promise((resolve, reject) => {
      entry.child.once('message', (answer) => {
        if (answer.kind === 'done') resolve(answer.result);
        else reject(new Error(answer.message));
      });
      void entry.ended.then(() => reject(new Error(`the load generator ended: ${entry.said()}`)));
      entry.child.send(job);
    });
}

/** Every round, contender by contender in an order that turns, at every concurrency; calls `record` with each turn. */
export async function runRounds({ rounds, seconds, turns, ask, prompts, record, note, isStopped }) {
  for (let round = 1; round <= rounds; round += 1) {
    for (const stream of [false, true]) {
      for (const concurrency of CONCURRENCIES) {
        const order = turns.map((_, index) => turns[(index + round - 1) % turns.length]);
        for (const turn of order) {
          if (isStopped()) return;
          const row = await takeTurn({ turn, stream, concurrency, seconds, ask, prompts });
          record({ round, ...row });
          note(
            `round ${round}/${rounds}  ${stream ? 'stream' : 'whole '}  c=${String(concurrency).padEnd(2)}  ${turn.title.padEnd(34)} ${row.requestsPerSecond.toFixed(0).padStart(6)} req/s  p50 ${row.p50Ms.toFixed(2).padStart(8)} ms  CPU ${row.cpuMsPerRequest === undefined ? '     -' : row.cpuMsPerRequest.toFixed(3).padStart(6)} ms${row.errors > 0 ? `  ${row.errors} errors` : ''}`,
          );
        }
      }
    }
  }
}

async function takeTurn({ turn, stream, concurrency, seconds, ask, prompts }) {
  const { contender, isNew } = turn;
  const job = (length) => ({
    origin: contender.origin,
    path: contender.path,
    headers: contender.headers,
    model: contender.model,
    prompts: isNew ? prompts.nextNew(Math.ceil(length * NEW_A_SECOND)) : prompts.repeated,
    stream,
    concurrency,
    seconds: length,
  });
  await ask(job(seconds * WARM_UP));
  await settle();
  const before = contender.pid === undefined ? undefined : useOfTree(contender.pid);
  const result = await ask(job(seconds));
  await settle();
  const after = contender.pid === undefined ? undefined : useOfTree(contender.pid);
  return summarise({ turn, stream, concurrency, result, before, after });
}

function summarise({ turn, stream, concurrency, result, before, after }) {
  const { answers, faults, experts, elapsedSeconds } = result;
  const latencies = result.latenciesMs.sort((a, b) => a - b);
  const first = result.firstMs.sort((a, b) => a - b);
  const errors = Object.values(faults).reduce((total, count) => total + count, 0);
  const cpuMs = before && after ? after.cpuMs - before.cpuMs : undefined;
  return {
    contender: turn.name,
    stream,
    concurrency,
    answers,
    errors,
    faults,
    ...(Object.keys(experts).length > 0 ? { experts } : {}),
    elapsedSeconds,
    requestsPerSecond: answers / elapsedSeconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    ...(stream ? { firstP50Ms: quantile(first, 0.5) } : {}),
    ...(cpuMs === undefined
      ? {}
      : {
          cpuMs,
          cpuMsPerRequest: cpuMs / (answers + errors),
          residentMb: after.residentMb,
          cpuMsByProcess: after.processes.map(({ pid, cpuMs: now }) => ({
            name: turn.contender.nameOf?.(pid) ?? String(pid),
            cpuMs: now - (before.processes.find((row) => row.pid === pid)?.cpuMs ?? 0),
          })),
        }),
  };
}

function settle() {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}
