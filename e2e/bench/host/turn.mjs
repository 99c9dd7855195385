import { distance, TOLERANCE } from './oracle.mjs';

/**
 * Asks one side for a while, `concurrency` requests at a time of `batch` texts each; a request that was begun is waited for.
 * Answers are checked after the turn, so that checking costs no side anything.
 */
export async function takeTurn(contender, { prompts, concurrency, batch, seconds }) {
  const given = [];
  const latenciesMs = [];
  let next = 0;
  let failed = 0;
  const cpuBefore = contender.cpuMs();
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  const work = async () => {
    while (performance.now() < until) {
      const asked = Array.from({ length: batch }, () => prompts[next++ % prompts.length]);
      const sentAt = performance.now();
      try {
        given.push({ asked, numbers: await contender.ask(asked.map(({ text }) => text)) });
        latenciesMs.push(performance.now() - sentAt);
      } catch {
        failed += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: contender.isSerial ? 1 : concurrency }, work));
  const tookSeconds = (performance.now() - startedAt) / 1000;
  const cpuMs = contender.cpuMs() - cpuBefore;
  const distances = given.map(({ asked, numbers }) => distance(numbers, joined(asked)));
  const texts = given.length * batch;
  latenciesMs.sort((a, b) => a - b);
  return {
    texts,
    textsPerSecond: round(texts / tookSeconds),
    cpuMsPerText: round(cpuMs / texts),
    p50Ms: round(latenciesMs[latenciesMs.length >> 1]),
    failed,
    wrong: distances.filter((value) => !(value <= TOLERANCE)).length,
    largestDistance: Math.max(...distances),
  };
}

function joined(asked) {
  return asked.length === 1 ? asked[0].answer : asked.flatMap(({ answer }) => [...answer]);
}

function round(value) {
  return Number(value?.toPrecision(5));
}
