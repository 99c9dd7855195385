/**
 * What a session costs to make from the forms that a graph can lie on disk in, each in a process of its own, taking turns.
 *   npm run bench:session-forms [-- --rounds 9 --out FILE]
 * - `onnx`: as it is shipped, optimised while it is loaded (what the host does).
 * - `optimised`: the optimised graph as ONNX.
 * - `ort`: the optimised graph in ONNX Runtime's own format, by its path.
 * - `ort-bytes`: the same, read into memory and its weights used from there.
 * Prints the median of processor time (which other work beside disturbs least), elapsed time and resident memory, and each form over
 * `onnx` of the same round.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { OrtRuntime } from '@thalamus/inference';
import { BASE_FOLDER } from './host-process.mjs';

const SHIPPED = join(BASE_FOLDER, 'model.onnx');
const DIRECT = {
  'session.use_ort_model_bytes_directly': '1',
  'session.use_ort_model_bytes_for_initializers': '1',
};
const files = (folder) => ({ onnx: join(folder, 'optimised.onnx'), ort: join(folder, 'optimised.ort') });
const FORMS = {
  onnx: () => [{ path: SHIPPED }, {}],
  optimised: (folder) => [{ path: files(folder).onnx }, { optimisation: 'disabled' }],
  ort: (folder) => [{ path: files(folder).ort }, { optimisation: 'disabled' }],
  'ort-bytes': (folder) => [
    { bytes: readFileSync(files(folder).ort) },
    { optimisation: 'disabled', settings: DIRECT },
  ],
};

if (process.send) await measure(...process.argv.slice(2));
else await compare();

/** In the process of one trial. */
async function measure(form, folder) {
  const runtime = new OrtRuntime();
  await runtime.prepare();
  const memory = process.memoryUsage.rss();
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await runtime.load(...FORMS[form](folder));
  const elapsedMs = performance.now() - startedAt;
  const used = process.cpuUsage(cpu);
  process.send({
    cpuMs: (used.user + used.system) / 1000,
    elapsedMs,
    rssMiB: (process.memoryUsage.rss() - memory) / 2 ** 20,
  });
  process.disconnect();
}

async function compare() {
  const { values } = parseArgs({
    options: { rounds: { type: 'string', default: '9' }, out: { type: 'string' } },
  });
  const rounds = Number(values.rounds);
  if (!(rounds >= 1)) throw new Error(`--rounds must be 1 or more, but is "${values.rounds}"`);
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-forms-'));
  try {
    await writeForms(files(folder));
    const names = Object.keys(FORMS);
    const raw = [];
    for (let round = 0; round < rounds; round++)
      for (let at = 0; at < names.length; at++) {
        const form = names[(at + round) % names.length];
        raw.push({ round, form, ...(await trial(form, folder)) });
      }
    const summary = Object.fromEntries(names.map((form) => [form, summaryOf(raw, form)]));
    console.log(`${cpus().length} x ${cpus()[0]?.model}, load ${loadavg()[0].toFixed(1)}, ${rounds} rounds`);
    console.table(summary);
    if (values.out)
      writeFileSync(values.out, `${JSON.stringify({ loadAverage: loadavg(), summary, raw }, null, 1)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** ONNX Runtime writes what it made of a graph. */
async function writeForms({ onnx, ort }) {
  const { InferenceSession } = (await import('onnxruntime-node')).default;
  for (const [optimizedModelFilePath, format] of [
    [onnx, 'ONNX'],
    [ort, 'ORT'],
  ]) {
    const extra = { 'session.save_model_format': format };
    // As OrtRuntime sets them, so that the same graph comes out.
    const session = await InferenceSession.create(SHIPPED, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'all',
      logSeverityLevel: 4,
      optimizedModelFilePath,
      extra,
    });
    await session.release();
  }
}

async function trial(form, folder) {
  const child = fork(fileURLToPath(import.meta.url), [form, folder]);
  const [result] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) =>
      Promise.reject(new Error(`${form}: the process ended with ${code}`)),
    ),
  ]);
  return result;
}

function summaryOf(raw, form) {
  const own = raw.filter((trial) => trial.form === form);
  const beside = (key) =>
    own.map(
      (trial) => trial[key] / raw.find(({ round, form: of }) => of === 'onnx' && round === trial.round)[key],
    );
  const [cpuMs, elapsedMs, rssMiB] = ['cpuMs', 'elapsedMs', 'rssMiB'].map((key) =>
    rounded(own.map((trial) => trial[key])),
  );
  return {
    cpuMs,
    elapsedMs,
    rssMiB,
    cpuOverOnnx: rounded(beside('cpuMs')),
    elapsedOverOnnx: rounded(beside('elapsedMs')),
  };
}

function rounded(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(100 * sorted[sorted.length >> 1]) / 100;
}
