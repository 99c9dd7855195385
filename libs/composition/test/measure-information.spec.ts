import { OrtRuntime } from '@thalamus/inference';
import { encodeModel, type Weights } from '@thalamus/onnx-graph';
import { asFloat32, logSumExp, tensor } from '@thalamus/tensor';
import { PICO_CONFIG, picoHead } from '@thalamus/testing';
import { classifierGraph, tokenFeeds, transposed } from '@thalamus/training';
import { afterAll, describe, expect, it } from 'vitest';
import { measureInformation, mergeWeights, type Information, type InformationRun } from '../src/index.js';
import { picoShared, picoTexts, tuned } from './pico-twin.js';

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

const LABELS = ['lost', 'blocked', 'other'];
const WORDS = 'embeddings.word_embeddings.weight';
const TOKEN_TYPES = 'embeddings.token_type_embeddings.weight';
const base = picoShared();
/** A head whose answers are neither even nor sure. */
const head = {
  weights: picoHead(LABELS.length, 30).weights.map((value) => 4 * value),
  bias: picoHead(LABELS.length, 30).bias,
};
const parent = (seed: number) => ({ weights: tuned(base, seed, 0.1), head, labels: LABELS });
const ids = picoTexts(4, 6);
const measure = (of: ReturnType<typeof parent>, more: Partial<InformationRun> = {}) =>
  measureInformation(of, {
    ids,
    labels: 0,
    isUnit: false,
    config: PICO_CONFIG,
    runtime,
    threads: 1,
    seed: 5,
    ...more,
  });

/** Log-probabilities of all labels, row by row. */
async function logProbabilities(weights: Weights): Promise<Float64Array[]> {
  const model = classifierGraph(PICO_CONFIG, weights, {
    weights: transposed(head.weights, LABELS.length, PICO_CONFIG.hiddenSize),
    bias: head.bias,
  });
  const session = await runtime.load({ bytes: encodeModel(model) });
  const rows: Float64Array[] = [];
  for (const row of ids.keys()) {
    const outputs = await session.run(tokenFeeds(ids, [row]), { outputs: ['logits'] });
    const logits = Float64Array.from(asFloat32(outputs['logits'], 'logits').data);
    rows.push(logits.map((logit) => logit - logSumExp(logits)));
  }
  await session.release();
  return rows;
}

/** Information of one weight by central differences. */
async function byDifferences(weights: Weights, name: string, at: number): Promise<number> {
  const step = 0.01;
  const moved = (by: number) => {
    const { shape, data } = weights.get(name)!;
    const copy = data.slice();
    copy[at]! += by;
    return logProbabilities(new Map(weights).set(name, tensor('float32', shape, copy)));
  };
  const [here, up, down] = [await logProbabilities(weights), await moved(step), await moved(-step)];
  let sum = 0;
  here.forEach((row, n) =>
    row.forEach((log, label) => {
      const slope = (up[n]![label]! - down[n]![label]!) / (2 * step);
      sum += (Math.exp(log) * slope ** 2) / here.length;
    }),
  );
  return sum;
}

const valuesOf = (information: Information) =>
  [...base.keys()].filter((name) => name !== TOKEN_TYPES).map((name) => information.get(name)!.data);

describe('measureInformation', () => {
  it('is what central differences of the log-likelihood say, in the layout of the weights', async () => {
    const of = parent(41);
    const information = await measure(of);
    const names = [
      WORDS,
      'embeddings.position_embeddings.weight',
      'embeddings.LayerNorm.bias',
      'encoder.layer.0.attention.self.query.weight',
      'encoder.layer.0.intermediate.dense.weight',
      'encoder.layer.1.output.dense.weight',
      'encoder.layer.1.output.LayerNorm.weight',
    ];
    for (const name of names) {
      const { shape, data } = information.get(name)!;
      expect(shape, name).toEqual(base.get(name)!.shape);
      const largest = [...data.keys()].sort((a, b) => data[b]! - data[a]!).slice(0, 3);
      for (const at of largest) {
        const wanted = await byDifferences(of.weights, name, at);
        expect(wanted, name).toBeGreaterThan(1e-6);
        expect(data[at]! / wanted, `${name}[${at}]`).toBeCloseTo(1, 1);
      }
    }
  });

  it('is zero for words that no row has, and nothing for token types', async () => {
    const information = await measure(parent(41));
    const { data } = information.get(WORDS)!;
    const used = new Set(ids.flat());
    const width = PICO_CONFIG.hiddenSize;
    for (let word = 0; word < data.length / width; word++) {
      const sum = data.subarray(word * width, (word + 1) * width).reduce((total, value) => total + value, 0);
      expect(sum > 0, String(word)).toBe(used.has(word));
    }
    expect(information.get(TOKEN_TYPES)).toBeUndefined();
  });

  it('of drawn labels nears the expectation, is the same for the same seed, and tells of every row', async () => {
    const of = parent(41);
    const exact = valuesOf(await measure(of));
    const told: number[] = [];
    const drawn = valuesOf(await measure(of, { labels: 400, onRow: (done) => told.push(done) }));
    expect([...new Set(told)]).toEqual([0, 1, 2, 3, 4]);
    const sum = (all: readonly Float32Array[]) =>
      all.reduce((total, data) => total + data.reduce((own, value) => own + value, 0), 0);
    expect(Math.abs(sum(drawn) / sum(exact) - 1)).toBeLessThan(0.15);
    const once = await measure(of, { labels: 1 });
    expect(valuesOf(await measure(of, { labels: 1 }))).toEqual(valuesOf(once));
    expect(valuesOf(await measure(of, { labels: 1, seed: 6 }))).not.toEqual(valuesOf(once));
  });

  it('weighs a merge: alike for all it gives the average, measured it leans to who knows more', async () => {
    const [first, second] = [parent(41), parent(42)];
    const parents = [
      { name: 'first', weights: first.weights },
      { name: 'second', weights: second.weights },
    ];
    const own = await measure(first);
    const merged = (of: (name: string) => Information) =>
      mergeWeights(
        {
          method: 'fisher',
          parameters: {
            shared: { floor: 1e-30, normalize: false },
            parents: parents.map(({ name }) => ({ name })),
          },
        },
        base,
        parents,
        { information: of },
      );
    const name = 'encoder.layer.1.output.dense.weight';
    const [a, b] = [first.weights.get(name)!.data, second.weights.get(name)!.data];
    merged(() => own)
      .get(name)!
      .data.forEach((value, i) => expect(value).toBeCloseTo((a[i]! + b[i]!) / 2, 6));
    const other = await measure(second);
    const [f, g] = [own.get(name)!.data, other.get(name)!.data];
    merged((parent) => (parent === 'first' ? own : other))
      .get(name)!
      .data.forEach((value, i) =>
        expect(value).toBeCloseTo((f[i]! * a[i]! + g[i]! * b[i]!) / (f[i]! + g[i]!), 5),
      );
  });
});
