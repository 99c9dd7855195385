// A static merge of whole models, ours and mergekit's, turn by turn: seconds, peak memory, and whether the results agree.
//   npm run bench:merge [-- --peer /path/to/python3] [--method ties] [--density 0.2] [--parents 8] [--rounds 3] [--threads 2] [--scale 1]
// On a busy machine compare mergeCpuSeconds: time on the CPU, of all threads. Without --peer ours runs alone. Each turn is a process of its
// own that reads tensor by tensor from one file a model, merges and writes the result. Raw rows go to the standard output as JSON, progress to the standard error.
import { createRandom } from '@thalamus/tensor';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, ratioOverRounds } from './gateway/statistics.mjs';

const HERE = fileURLToPath(new URL('merge/', import.meta.url));
/** Elements that are compared at a time. */
const CHUNK = 1 << 20;

const options = readOptions();
const folder = mkdtempSync(join(tmpdir(), 'thalamus-bench-merge-'));
let running;
const cleanUp = () => {
  running?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    cleanUp();
    process.exit(130);
  });
try {
  const problem = writeProblem();
  const contenders = [['ours', process.execPath, ['ours.mjs']]];
  if (options.peer) contenders.push(['mergekit', options.peer, ['mergekit_merge.py']]);
  const rounds = [];
  for (let round = 0; round < options.rounds; round++) {
    const row = { round };
    for (const [name, program, [script]] of round % 2 === 0 ? contenders : [...contenders].reverse()) {
      row[name] = await turn(program, join(HERE, script));
      const { seconds, mergeSeconds, mergeCpuSeconds, peakBytes } = row[name];
      console.error(
        `round ${round + 1}/${options.rounds} ${name}: ${seconds.toFixed(1)} s (merging ${mergeSeconds.toFixed(1)} s, ${mergeCpuSeconds.toFixed(1)} s of CPU), peak ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
      );
    }
    if (options.peer) row.farthest = farthest(problem.elements);
    rounds.push(row);
  }
  report(problem, rounds);
} catch (fault) {
  console.error(`bench:merge: ${fault.message}`);
  process.exitCode = 1;
} finally {
  cleanUp();
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        peer: { type: 'string' },
        method: { type: 'string', default: 'ties' },
        density: { type: 'string', default: '0.2' },
        parents: { type: 'string', default: '8' },
        rounds: { type: 'string', default: '3' },
        threads: { type: 'string', default: '2' },
        scale: { type: 'string', default: '1' },
      },
    });
    const number = (name, low, high) => {
      const value = Number(values[name]);
      if (value >= low && value <= high) return value;
      throw new Error(`--${name} is "${values[name]}"; it must be ${low} to ${high}.`);
    };
    const whole = (name, high) => {
      const value = number(name, 1, high);
      if (Number.isInteger(value)) return value;
      throw new Error(`--${name} is "${values[name]}"; it must be a whole number.`);
    };
    const { peer, method } = values;
    if (!/^(ties|breadcrumbs|breadcrumbs_ties|task_arithmetic)$/.test(method))
      throw new Error(
        `--method is "${method}"; random methods draw other masks, so it must be ties, breadcrumbs, breadcrumbs_ties or task_arithmetic.`,
      );
    if (peer && spawnSync(peer, ['-c', 'import mergekit, torch, numpy']).status !== 0)
      throw new Error(
        `${peer} has no mergekit. Make an environment with "python3 -m venv DIR && DIR/bin/pip install torch mergekit==0.1.5", then name it: npm run bench:merge -- --peer DIR/bin/python`,
      );
    return {
      peer,
      method,
      density: number('density', 0.01, 1),
      parents: whole('parents', 32),
      rounds: whole('rounds', 100),
      threads: whole('threads', 64),
      scale: number('scale', 0.01, 4),
    };
  } catch (fault) {
    console.error(`bench:merge: ${fault.message}`);
    process.exit(2);
  }
}

/** Tensors of the base encoder (MiniLM-L6, 22.6 million parameters); --scale shortens the vocabulary. */
function shapes() {
  const width = 384;
  const layer = (index) =>
    [
      ...['query', 'key', 'value', 'output'].flatMap((name) => [
        [`attention.${name}.weight`, [width, width]],
        [`attention.${name}.bias`, [width]],
      ]),
      ['attention.norm.weight', [width]],
      ['attention.norm.bias', [width]],
      ['intermediate.weight', [4 * width, width]],
      ['intermediate.bias', [4 * width]],
      ['output.weight', [width, 4 * width]],
      ['output.bias', [width]],
      ['output.norm.weight', [width]],
      ['output.norm.bias', [width]],
    ].map(([name, dims]) => [`encoder.layer.${index}.${name}`, dims]);
  return [
    ['embeddings.word.weight', [Math.round(30_522 * options.scale), width]],
    ['embeddings.position.weight', [512, width]],
    ['embeddings.type.weight', [2, width]],
    ...Array.from({ length: 6 }, (_, index) => layer(index)).flat(),
  ].map(([name, dims]) => ({ name, dims }));
}

/** Writes base and parents: normal weights, differences with heavy tails as fine-tuning leaves them. */
function writeProblem() {
  const tensors = shapes();
  const elements = tensors.reduce((sum, { dims }) => sum + dims.reduce((a, b) => a * b, 1), 0);
  const random = createRandom(17);
  // One long list of normal numbers, read from another place each time: quick, and no two models are alike.
  const pool = Float32Array.from({ length: 1_000_003 }, () => random.normal());
  const base = Float32Array.from({ length: elements }, (_, i) => 0.05 * pool[i % pool.length]);
  const names = ['base', ...Array.from({ length: options.parents }, (_, index) => `parent-${index}`)];
  const model = new Float32Array(elements);
  for (const [index, name] of names.entries()) {
    const from = random.below(pool.length);
    const scaleFrom = random.below(pool.length);
    for (let i = 0; i < elements; i++) {
      const change = 0.004 * pool[(i * 3 + from) % pool.length] * pool[(i * 7 + scaleFrom) % pool.length];
      model[i] = index === 0 ? base[i] : base[i] + change;
    }
    writeFileSync(join(folder, `${name}.bin`), new Uint8Array(model.buffer));
  }
  const { method, density, threads } = options;
  const problem = { tensors, elements, parents: names.slice(1), method, density, threads };
  writeFileSync(join(folder, 'problem.json'), JSON.stringify(problem));
  return problem;
}

/** Runs one contender; its last line is JSON. */
function turn(program, script) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, OMP_NUM_THREADS: String(options.threads) },
    });
    running = child;
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(text));
      else reject(new Error(`${script} ended with ${code}; its message stands above.`));
    });
  });
}

/** Largest difference of the two results, and how many elements differ by more than 1e-6. */
function farthest(elements) {
  const files = ['ours', 'mergekit'].map((name) => openSync(join(folder, `merged-${name}.bin`)));
  const chunks = files.map(() => new Float32Array(CHUNK));
  let most = 0;
  let beyond = 0;
  for (let start = 0; start < elements; start += CHUNK) {
    const length = Math.min(CHUNK, elements - start);
    files.forEach((file, index) => readSync(file, chunks[index], 0, 4 * length, 4 * start));
    for (let i = 0; i < length; i++) {
      const difference = Math.abs(chunks[0][i] - chunks[1][i]);
      if (difference > most) most = difference;
      if (difference > 1e-6) beyond += 1;
    }
  }
  files.forEach((file) => closeSync(file));
  return { most, beyond, elements };
}

function report({ elements, parents }, rounds) {
  const { peer, ...settings } = options;
  const figures = (name, field) => rounds.map((row) => row[name][field]);
  const summary = Object.fromEntries(
    ['seconds', 'mergeSeconds', 'mergeCpuSeconds', 'peakBytes'].map((field) => {
      const ours = figures('ours', field);
      if (!peer) return [field, { ours: median(ours) }];
      const theirs = figures('mergekit', field);
      return [field, { ours: median(ours), mergekit: median(theirs), ...ratioOverRounds(ours, theirs) }];
    }),
  );
  const raw = { node: process.version, elements, models: parents.length, settings, summary, rounds };
  writeSync(1, `${JSON.stringify(raw, null, 1)}\n`);
}
