// Asks one address as fast as so many callers can who wait for their answers, and checks each answer. A process of its own,
// so that what it costs is nobody's. Takes jobs over IPC, one at a time.
import { Pool } from 'undici';
import { faultOfStream, faultOfWhole } from './answer.mjs';

const TIMEOUT_MS = 60_000;

process.on('disconnect', () => process.exit(0));
process.on('message', (job) => {
  void run(job).then(
    (result) => process.send({ kind: 'done', result }),
    (fault) => process.send({ kind: 'failed', message: String(fault?.stack ?? fault) }),
  );
});

async function run({ origin, path, headers, model, prompts, stream, concurrency, seconds }) {
  const pool = new Pool(origin, {
    connections: concurrency,
    pipelining: 1,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });
  const faultOf = stream ? faultOfStream : faultOfWhole;
  const latenciesMs = [];
  const firstMs = [];
  const faults = {};
  const experts = {};
  let next = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  const ask = async () => {
    while (performance.now() < endsAt) {
      const content = prompts[next++ % prompts.length];
      const body = JSON.stringify({
        model,
        messages: [{ role: 'user', content }],
        ...(stream ? { stream } : {}),
      });
      const askedAt = performance.now();
      let fault;
      try {
        const answer = await pool.request({ path, method: 'POST', headers, body });
        let text = '';
        if (stream) {
          answer.body.setEncoding('utf8');
          let firstAt;
          for await (const part of answer.body) {
            firstAt ??= performance.now();
            text += part;
          }
          firstMs.push((firstAt ?? performance.now()) - askedAt);
        } else text = await answer.body.text();
        fault = faultOf(answer.statusCode, text);
        const expert = answer.headers['x-thalamus-expert'];
        if (expert !== undefined) experts[expert] = (experts[expert] ?? 0) + 1;
      } catch (error) {
        fault = error.code ?? error.message;
      }
      if (fault === undefined) latenciesMs.push(performance.now() - askedAt);
      else faults[fault] = (faults[fault] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, ask));
  const elapsedSeconds = (performance.now() - startedAt) / 1000;
  await pool.close();
  return { answers: latenciesMs.length, faults, experts, elapsedSeconds, latenciesMs, firstMs };
}
