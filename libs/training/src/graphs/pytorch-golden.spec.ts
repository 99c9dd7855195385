import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { graphOf, type BertConfig, type OnnxModel } from '@thalamus/onnx-graph';
import { createRandom, tensor, type TensorOf } from '@thalamus/tensor';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { readDataset } from '../csv-dataset.js';
import { adamWStep, globalNorm, initialState } from '../loop/adamw.js';
import { parameterFeeds, tokenFeeds } from '../methods/classifier-model.js';
import { openTrainingBase } from '../methods/open-training-base.js';
import { classifierGraph, TRAINING_VALUES } from './encoder-graph.js';
import { GradientSession } from './gradient-session.js';
import { parametersOf } from './with-inputs.js';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const GOLDEN = join(ROOT, 'libs/training/golden');
/** Folder that the problems are written to for PyTorch, instead of being solved: see golden/pytorch_golden.py. */
const PROBLEMS = process.env['GOLDEN_PROBLEMS'];
const RATE = 5e-5;
const DECAY = 0.01;
const CLIP = 1;
const STEPS = 50;
const BATCH_ROWS = 8;

interface Batch {
  readonly ids: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

/** Seeded weights of a small encoder, far enough from zero that every gradient matters. */
function smallWeights(config: BertConfig, vocabulary: number, inner: number) {
  const random = createRandom(11);
  const width = config.hiddenSize;
  const weights = new Map<string, TensorOf<'float32'>>();
  const add = (name: string, shape: readonly number[], around = 0) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const data = Float32Array.from({ length: size }, () => around + (random.next() - 0.5) * 0.8);
    weights.set(name, tensor('float32', shape, data));
  };
  const norm = (prefix: string) => {
    add(`${prefix}.weight`, [width], 1);
    add(`${prefix}.bias`, [width]);
  };
  const linear = (prefix: string, outputs: number, inputs: number) => {
    add(`${prefix}.weight`, [outputs, inputs]);
    add(`${prefix}.bias`, [outputs]);
  };
  add('embeddings.word_embeddings.weight', [vocabulary, width]);
  add('embeddings.position_embeddings.weight', [config.maxPositions, width]);
  add('embeddings.token_type_embeddings.weight', [2, width]);
  norm('embeddings.LayerNorm');
  for (let layer = 0; layer < config.layers; layer++) {
    const at = `encoder.layer.${layer}`;
    for (const name of ['query', 'key', 'value']) linear(`${at}.attention.self.${name}`, width, width);
    linear(`${at}.attention.output.dense`, width, width);
    norm(`${at}.attention.output.LayerNorm`);
    linear(`${at}.intermediate.dense`, inner, width);
    linear(`${at}.output.dense`, width, inner);
    norm(`${at}.output.LayerNorm`);
  }
  return weights;
}

function randomHead(width: number, classes: number) {
  const random = createRandom(5);
  return {
    weights: Float32Array.from({ length: width * classes }, () => (random.next() - 0.5) * 0.2),
    bias: new Float32Array(classes),
  };
}

const trainableOf = (model: OnnxModel) =>
  new Set(
    graphOf(model)
      .initializer.map(({ name }) => name)
      .filter((name) => /^(embeddings|encoder|head)\..*(weight|bias)$/.test(name)),
  );

async function gradientsOf(
  session: GradientSession,
  batch: Batch,
  parameters: ReturnType<typeof parametersOf>,
) {
  const labels = BigInt64Array.from(batch.labels, BigInt);
  const rows = Array.from(batch.ids.keys());
  const feeds = {
    ...tokenFeeds(batch.ids, rows),
    [TRAINING_VALUES.labels]: tensor('int64', [labels.length], labels),
  };
  return session.compute(feeds, parameterFeeds(parameters));
}

function writeProblem(
  name: string,
  parameters: ReturnType<typeof parametersOf>,
  rest: { readonly config: BertConfig; readonly batches: readonly Batch[] },
): void {
  const folder = PROBLEMS!;
  mkdirSync(folder, { recursive: true });
  const shapes = [...parameters].map(([key, { shape }]) => ({ name: key, shape }));
  const problem = { ...rest, parameters: shapes, rate: RATE, decay: DECAY, clip: CLIP };
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(problem));
  const bytes = [...parameters.values()].map(({ data }) =>
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  );
  writeFileSync(join(folder, `${name}.bin`), Buffer.concat(bytes));
}

const fixture = (name: string): unknown => JSON.parse(readFileSync(join(GOLDEN, `${name}.json`), 'utf8'));
const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

describe('training graphs against PyTorch', () => {
  it('gradients of a two-layer encoder with padded rows agree to 1e-5', async () => {
    const config = { hiddenSize: 16, layers: 2, heads: 2, maxPositions: 12, layerNormEpsilon: 1e-12 };
    const model = classifierGraph(config, smallWeights(config, 31, 24), randomHead(16, 3));
    const names = trainableOf(model);
    const parameters = parametersOf(model, names);
    const batch = {
      ids: [
        [2, 9, 4, 17, 30, 3],
        [2, 5, 3],
        [2, 9, 9, 9, 3],
      ],
      labels: [0, 2, 1],
    };
    if (PROBLEMS !== undefined) {
      writeProblem('two-layer-gradients', parameters, { config, batches: [batch] });
      return;
    }
    const session = await GradientSession.open(runtime, model, names, 1);
    const { loss, gradients } = await gradientsOf(session, batch, parameters);
    await session.release();
    const golden = fixture('two-layer-gradients') as { loss: number; gradients: Record<string, string> };
    expect(loss).toBeCloseTo(golden.loss, 5);
    expect([...gradients.keys()].sort()).toEqual(Object.keys(golden.gradients).sort());
    const whole = globalNorm(gradients);
    for (const [name, gradient] of gradients) {
      const bytes = Buffer.from(golden.gradients[name]!, 'base64');
      const wanted = new Float32Array(new Uint8Array(bytes).buffer);
      const off = norm(gradient.map((value, index) => value - wanted[index]!));
      // The bias of a key moves all scores of a query alike, so its gradient is zero: there rounding is held against the whole.
      const scale = name.endsWith('key.bias') ? whole : norm(wanted);
      expect(off / scale, name).toBeLessThan(1e-5);
    }
  });

  it(
    'fifty steps of AdamW on the real base follow the same losses to 1e-3',
    { timeout: 300_000 },
    async () => {
      const base = await openTrainingBase(join(ROOT, 'zoo/base/minilm-l6'), {
        runtime,
        threads: 2,
        readTokenizer: (json) => Tokenizer.parse(json),
      });
      const file = 'zoo/data/sample/snips7.train.csv';
      const rows = readDataset(readFileSync(join(ROOT, file)), file);
      const labels = [...new Set(rows.map(({ label }) => label))].sort();
      const { config, weights } = base.read;
      const model = classifierGraph(config, weights, randomHead(config.hiddenSize, labels.length));
      const encoded = await base.tokens.encode(
        rows.map(({ text }) => text),
        64,
      );
      const batches = Array.from({ length: STEPS }, (_, step): Batch => {
        const chosen = Array.from(
          { length: BATCH_ROWS },
          (_row, at) => (step * BATCH_ROWS + at) % rows.length,
        );
        return {
          ids: chosen.map((row) => [...encoded[row]!.ids]),
          labels: chosen.map((row) => labels.indexOf(rows[row]!.label)),
        };
      });
      const names = trainableOf(model);
      const parameters = parametersOf(model, names);
      if (PROBLEMS !== undefined) {
        writeProblem('loss-curve', parameters, { config, batches });
        return;
      }
      const session = await GradientSession.open(runtime, model, names, 2);
      const state = initialState(parameters);
      const { losses: golden } = fixture('loss-curve') as { losses: readonly number[] };
      const losses: number[] = [];
      for (const batch of batches) {
        const { loss, gradients } = await gradientsOf(session, batch, parameters);
        const scale = Math.min(1, CLIP / globalNorm(gradients));
        const groupOf = () => ({ rateFactor: 1, decay: DECAY });
        adamWStep(parameters, state, { gradients, scale, rate: RATE, groupOf });
        losses.push(loss);
      }
      await session.release();
      expect(losses).toHaveLength(golden.length);
      const off = losses.map((loss, step) => Math.abs(loss - golden[step]!));
      expect(Math.max(...off)).toBeLessThan(1e-3);
      // It learns: the curve is no straight line that anything would follow.
      expect(golden[0]! - golden.at(-1)!).toBeGreaterThan(0.3);
    },
  );
});
