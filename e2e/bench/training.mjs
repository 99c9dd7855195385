// Full fine-tuning steps of the base (batch 32 x 64, AdamW, gradients clipped) beside PyTorch on the CPU, turn by turn.
//   npm run bench:training [-- --python /path/to/python3] [--rounds 5] [--steps 3] [--threads 1,2] [--out docs/results] [--json]
import { OrtRuntime } from '@thalamus/inference';
import * as training from '@thalamus/training';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, ratioOverRounds } from './gateway/statistics.mjs';
import { CLIP, DECAY, feedsOf, LENGTH, makeProblem, RATE, ROWS } from './training/problem.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const options = readOptions();
const problem = await makeProblem();
const folder = mkdtempSync(join(tmpdir(), 'thalamus-bench-training-'));
const children = [];
const cleanUp = () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    cleanUp();
    process.exit(130);
  });
try {
  writeProblem();
  const rounds = [];
  for (const threads of options.threads) {
    const contenders = [await startOurs(threads), await startPyTorch(threads)];
    for (const contender of contenders) await contender.run(1);
    for (let round = 0; round < options.rounds; round++) {
      const order = round % 2 === 0 ? contenders : [...contenders].reverse();
      const row = { threads, round };
      for (const { name, run } of order) row[name] = await run(options.steps);
      rounds.push(row);
      console.error(
        `threads ${threads}, round ${round + 1}/${options.rounds}: ours ${speed(row.ours).toFixed(0)} tok/s, PyTorch ${speed(row.pytorch).toFixed(0)} tok/s`,
      );
    }
    for (const { end } of contenders) await end();
  }
  report(rounds);
} catch (fault) {
  console.error(`bench:training: ${fault.message}`);
  process.exitCode = 1;
} finally {
  cleanUp();
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        python: { type: 'string', default: 'python3' },
        rounds: { type: 'string', default: '5' },
        steps: { type: 'string', default: '3' },
        threads: { type: 'string', default: '1,2' },
        out: { type: 'string', default: join(ROOT, 'docs/results') },
        json: { type: 'boolean', default: false },
      },
    });
    const whole = (name, text, most) => {
      const value = Number(text);
      if (Number.isInteger(value) && value >= 1 && value <= most) return value;
      throw new Error(`--${name} is "${text}"; it must be a whole number from 1 to ${most}.`);
    };
    const { python, out, json } = values;
    if (spawnSync(python, ['-c', 'import torch, numpy']).status !== 0)
      throw new Error(
        `${python} has no PyTorch. Make an environment with "python3 -m venv DIR && DIR/bin/pip install torch numpy", then name it: npm run bench:training -- --python DIR/bin/python`,
      );
    return {
      python,
      out,
      json,
      rounds: whole('rounds', values.rounds, 100),
      steps: whole('steps', values.steps, 100),
      threads: values.threads.split(',').map((text) => whole('threads', text, 64)),
    };
  } catch (fault) {
    console.error(`bench:training: ${fault.message}`);
    process.exit(2);
  }
}

function writeProblem() {
  const parameters = training.parametersOf(problem.model, problem.names);
  const shapes = [...parameters].map(([name, { shape }]) => ({ name, shape }));
  const { config, ids, labels } = problem;
  const text = { config, parameters: shapes, batch: { ids, labels }, rate: RATE, decay: DECAY, clip: CLIP };
  writeFileSync(join(folder, 'problem.json'), JSON.stringify(text));
  writeFileSync(
    join(folder, 'problem.bin'),
    Buffer.concat([...parameters.values()].map(({ data }) => Buffer.from(data.buffer))),
  );
}

async function startOurs(threads) {
  const runtime = new OrtRuntime();
  const session = await training.GradientSession.open(runtime, problem.model, problem.names, threads);
  const parameters = training.parametersOf(problem.model, problem.names);
  const state = training.initialState(parameters);
  const feeds = feedsOf(problem);
  const run = async (steps) => {
    let [graph, step] = [0, 0];
    const startedAt = performance.now();
    for (let done = 0; done < steps; done++) {
      const graphAt = performance.now();
      const { gradients } = await session.compute(feeds, training.parameterFeeds(parameters));
      const stepAt = performance.now();
      graph += stepAt - graphAt;
      const scale = Math.min(1, CLIP / training.globalNorm(gradients));
      const groupOf = () => ({ rateFactor: 1, decay: DECAY });
      training.adamWStep(parameters, state, { gradients, scale, rate: RATE, groupOf });
      step += performance.now() - stepAt;
    }
    return {
      seconds: (performance.now() - startedAt) / 1e3,
      steps,
      graph: graph / 1e3,
      optimiser: step / 1e3,
    };
  };
  const end = async () => {
    await session.release();
    await runtime.close();
  };
  return { name: 'ours', run, end };
}

async function startPyTorch(threads) {
  const script = join(ROOT, 'e2e/bench/training/pytorch_steps.py');
  const child = spawn(options.python, [script, folder, String(threads)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) },
  });
  children.push(child);
  const ended = new Promise((resolve) => child.once('close', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const run = async (steps) => {
    child.stdin.write(`${steps}\n`);
    const { value } = await lines.next();
    if (value === undefined) throw new Error('PyTorch ended early; its message stands above.');
    return { ...JSON.parse(value), steps };
  };
  const end = async () => {
    child.stdin.end();
    await ended;
  };
  return { name: 'pytorch', run, end };
}

function speed({ seconds, steps }) {
  return (ROWS * LENGTH * steps) / seconds;
}

function report(rounds) {
  const summary = options.threads.map((threads) => {
    const own = rounds.filter((row) => row.threads === threads);
    const [ours, theirs] = [
      own.map(({ ours: turn }) => speed(turn)),
      own.map(({ pytorch }) => speed(pytorch)),
    ];
    const share = (part) => median(own.map(({ ours: turn }) => turn[part] / turn.seconds));
    return {
      threads,
      ours: median(ours),
      pytorch: median(theirs),
      ...ratioOverRounds(ours, theirs),
      graphShare: share('graph'),
      optimiserShare: share('optimiser'),
    };
  });
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  const torch = rounds[0].pytorch.torch;
  mkdirSync(join(options.out, 'data'), { recursive: true });
  const raw = {
    date: new Date().toISOString().slice(0, 10),
    torch,
    node: process.version,
    peakBytes,
    summary,
    rounds,
  };
  writeFileSync(join(options.out, 'data/training-throughput.json'), `${JSON.stringify(raw, null, 1)}\n`);
  const number = (value, digits = 2) => (value === undefined ? '–' : value.toFixed(digits));
  const lines = summary.map(
    (row) =>
      `| ${row.threads} | ${number(row.ours, 0)} | ${number(row.pytorch, 0)} | ${number(row.ratio)} (${number(row.low)} to ${number(row.high)}) | ${number(100 * row.graphShare, 0)} % | ${number(100 * row.optimiserShare, 0)} % |`,
  );
  const table = [
    '| threads | ours, tokens/s | PyTorch, tokens/s | ratio (95 %) | in the gradient graph | in AdamW |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
  if (options.json) console.log(JSON.stringify(raw, null, 2));
  else
    console.log(
      `${table}\n\nPyTorch ${torch}; peak memory of this process ${(peakBytes / 2 ** 30).toFixed(2)} GiB.`,
    );
}
