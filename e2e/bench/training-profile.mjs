// Which operators the time of a full fine-tuning step of the base goes to, and its optimiser over arrays beside the ones in graphs.
//   npm run bench:training-profile [-- --threads 1] [--steps 3] [--rounds 6] [--out docs/results] [--json]
import {
  adamWStep,
  differentiate,
  nextName,
  STEP_VALUES,
  stepTensors,
  trainingStep,
  writeCrossEntropy,
} from '@thalamus/autodiff';
import { OrtRuntime } from '@thalamus/inference';
import { encodeModel, GraphBuilder, graphOf } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import * as training from '@thalamus/training';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as ort from 'onnxruntime-node';
import { median, ratioOverRounds } from './gateway/statistics.mjs';
import { CLIP, DECAY, feedsOf, makeProblem, RATE } from './training/problem.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Operators below this share of the time stand together in one row. */
const LEAST_SHARE = 0.01;

const options = readOptions();
const problem = await makeProblem();
const gradients = gradientGraph();
const operators = options.steps === 0 ? [] : await profile();
const optimisers = options.rounds === 0 ? undefined : await compareOptimisers();
report();

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        threads: { type: 'string', default: '1' },
        steps: { type: 'string', default: '3' },
        rounds: { type: 'string', default: '6' },
        out: { type: 'string', default: join(ROOT, 'docs/results') },
        json: { type: 'boolean', default: false },
      },
    });
    const whole = (name, least) => {
      const value = Number(values[name]);
      if (Number.isInteger(value) && value >= least && value <= 100) return value;
      throw new Error(`--${name} is "${values[name]}"; it must be a whole number from ${least} to 100.`);
    };
    return { ...values, threads: whole('threads', 1), steps: whole('steps', 0), rounds: whole('rounds', 0) };
  } catch (fault) {
    console.error(`bench:training-profile: ${fault.message}`);
    process.exit(2);
  }
}

/** The graph that training runs: the classifier under cross-entropy, and its gradients. */
function gradientGraph() {
  const { model, names } = problem;
  const builder = new GraphBuilder();
  const inputs = graphOf(model).input.map(({ name }) => [
    name,
    builder.input(name, 'int64', ['batch', 'sequence']),
  ]);
  const outputs = builder.embed(model, '', Object.fromEntries(inputs));
  const labels = builder.input(training.TRAINING_VALUES.labels, 'int64', ['batch']);
  const loss = writeCrossEntropy(builder, outputs[training.TRAINING_VALUES.logits], labels);
  return differentiate(builder.build({ name: 'classifier' }), { loss, trainable: [...names] });
}

/** Seconds of a step by operator, from ONNX Runtime's own profile. */
async function profile() {
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-profile-'));
  try {
    // As libs/inference opens graphs.
    const session = await ort.InferenceSession.create(encodeModel(gradients), {
      executionProviders: ['cpu'],
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 4,
      extra: { 'session.intra_op.allow_spinning': '0' },
      enableProfiling: true,
      profileFilePrefix: join(folder, 'step'),
    });
    const feeds = {
      ...feedsOf(problem),
      ...training.parameterFeeds(training.parametersOf(problem.model, problem.names)),
    };
    const given = Object.fromEntries(
      Object.entries(feeds).map(([name, { dtype, data, shape }]) => [
        name,
        new ort.Tensor(dtype, data, shape),
      ]),
    );
    for (let step = 0; step <= options.steps; step++) await session.run(given);
    session.endProfiling();
    await session.release();
    const [file] = readdirSync(folder);
    return byOperator(JSON.parse(readFileSync(join(folder, file), 'utf8')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first run warms up and does not count. */
function byOperator(events) {
  const runs = events.filter(({ name }) => name === 'model_run').sort((a, b) => a.ts - b.ts);
  const from = runs[1].ts;
  const rows = new Map();
  for (const { cat, name, ts, dur, args } of events) {
    if (cat !== 'Node' || ts < from || !name.endsWith('_kernel_time')) continue;
    const row = rows.get(args.op_name) ?? { operator: args.op_name, milliseconds: 0, calls: 0 };
    row.milliseconds += dur / 1e3 / options.steps;
    row.calls += 1 / options.steps;
    rows.set(args.op_name, row);
  }
  return [...rows.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}

/** Whole steps by turns: AdamW over arrays, as a graph of its own, and in the graph of the gradients. */
async function compareOptimisers() {
  const contenders = [await overArrays(), await asGraph(), await inOneGraph()];
  for (const { run } of contenders) await run();
  const rounds = [];
  for (let round = 0; round < options.rounds; round++) {
    const order = round % 2 === 0 ? contenders : [...contenders].reverse();
    const row = {};
    for (const { name, run } of order) row[name] = await run();
    rounds.push(row);
  }
  for (const { end } of contenders) await end();
  return rounds;
}

/** Processor time of this process in milliseconds, all its threads: it does not count what others do on the machine meanwhile. */
async function timed(work) {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e3;
}

async function overArrays() {
  const runtime = new OrtRuntime();
  const session = await training.GradientSession.open(runtime, problem.model, problem.names, options.threads);
  const parameters = training.parametersOf(problem.model, problem.names);
  const state = training.initialState(parameters);
  const groupOf = () => ({ rateFactor: 1, decay: DECAY });
  const run = () =>
    timed(async () => {
      const { gradients: found } = await session.compute(
        feedsOf(problem),
        training.parameterFeeds(parameters),
      );
      const scale = Math.min(1, CLIP / training.globalNorm(found));
      training.adamWStep(parameters, state, { gradients: found, scale, rate: RATE, groupOf });
    });
  return { name: 'arrays', run, end: () => runtime.close() };
}

async function asGraph() {
  const runtime = new OrtRuntime();
  const load = (model) => runtime.load({ bytes: encodeModel(model) }, { threads: options.threads });
  const [first, second] = [await load(gradients), await load(stepGraph())];
  let { state, step } = startState();
  const values = (kept) =>
    Object.fromEntries(Object.entries(kept).filter(([name]) => problem.names.has(name)));
  const run = () =>
    timed(async () => {
      const found = await first.run({ ...feedsOf(problem), ...values(state) });
      const own = Object.fromEntries(Object.entries(found).filter(([name]) => name.startsWith('gradient/')));
      state = nextState(state, await second.run({ ...state, ...own, ...stepFeeds(++step) }));
    });
  return { name: 'graph', run, end: () => runtime.close() };
}

async function inOneGraph() {
  const runtime = new OrtRuntime();
  const bytes = encodeModel(trainingStep(gradients, stepGraph()));
  const session = await runtime.load({ bytes }, { threads: options.threads });
  let { state, step } = startState();
  const run = () =>
    timed(async () => {
      state = nextState(state, await session.run({ ...feedsOf(problem), ...state, ...stepFeeds(++step) }));
    });
  return { name: 'joined', run, end: () => runtime.close() };
}

function stepGraph() {
  const parameters = training.parametersOf(problem.model, problem.names);
  const list = [...parameters].map(([name, { shape }]) => ({ name, shape, decay: DECAY }));
  return adamWStep(list, { clipNorm: CLIP });
}

function startState() {
  const state = {};
  for (const [name, { shape, data }] of training.parametersOf(problem.model, problem.names)) {
    const { value, first, second } = stepTensors(name);
    state[value] = tensor('float32', shape, data);
    for (const moment of [first, second])
      state[moment] = tensor('float32', shape, new Float32Array(data.length));
  }
  return { state, step: 0 };
}

function nextState(state, outputs) {
  return Object.fromEntries(Object.keys(state).map((name) => [name, outputs[nextName(name)]]));
}

function stepFeeds(step) {
  return {
    [STEP_VALUES.rate]: tensor('float32', [], Float32Array.of(RATE)),
    [STEP_VALUES.step]: tensor('int64', [], BigInt64Array.of(BigInt(step))),
  };
}

function report() {
  const total = operators.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const shown = operators.filter(({ milliseconds }) => milliseconds / total >= LEAST_SHARE);
  const rest = operators.slice(shown.length);
  const sum = (key) => rest.reduce((all, row) => all + row[key], 0);
  const rows = [
    ...shown,
    { operator: `${rest.length} others`, milliseconds: sum('milliseconds'), calls: sum('calls') },
  ];
  const comparison = optimisers && compared();
  const raw = {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    threads: options.threads,
    operators,
    optimisers,
    comparison,
  };
  mkdirSync(join(options.out, 'data'), { recursive: true });
  writeFileSync(join(options.out, 'data/training-profile.json'), `${JSON.stringify(raw, null, 1)}\n`);
  if (options.json) {
    console.log(JSON.stringify(raw, null, 2));
    return;
  }
  const lines = rows.map(
    ({ operator, milliseconds, calls }) =>
      `| ${operator} | ${milliseconds.toFixed(1)} | ${((100 * milliseconds) / total).toFixed(1)} % | ${Math.round(calls)} |`,
  );
  if (total > 0)
    console.log(
      ['| operator | ms a step | share | calls |', '| --- | --- | --- | --- |', ...lines].join('\n'),
    );
  for (const [name, { ms, ratio, low, high }] of Object.entries(comparison ?? {}))
    console.log(
      `${name}: ${ms.toFixed(0)} ms of processor time a step, ${ratio.toFixed(2)} of arrays (${low?.toFixed(2)} to ${high?.toFixed(2)})`,
    );
}

function compared() {
  const times = (name) => optimisers.map((row) => row[name]);
  return Object.fromEntries(
    ['arrays', 'graph', 'joined'].map((name) => [
      name,
      { ms: median(times(name)), ...ratioOverRounds(times(name), times('arrays')) },
    ]),
  );
}
