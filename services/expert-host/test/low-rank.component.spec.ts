import { lowRankFiles, openBundle, readLowRankAdapter, writeBundle } from '@thalamus/bundle';
import { OrtRuntime, padTokens, Tokenizer } from '@thalamus/inference';
import { decodeModel, encodeModel } from '@thalamus/onnx-graph';
import { logSumExp } from '@thalamus/tensor';
import {
  picoEncoder,
  picoFactors,
  picoHead,
  picoTokenizer,
  writePicoBase,
  writePicoLowRank,
  writePicoProbe,
} from '@thalamus/testing';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, Host, refusalOf, Registry, valuesOf } from './host-harness.js';
import { materialised } from './text-graphs.js';

/** The storage of the zoo's base, with blocks that the pico encoder can be cut into. */
const INT8 = { kind: 'int8', blockSize: 16 } as const;
const EXPERTS = {
  small: { labels: ['a', 'b'], rank: 2, alpha: 3, seed: 31 },
  middle: { labels: ['a', 'b', 'c'], rank: 8, alpha: 8, seed: 32 },
  full: { labels: Array.from({ length: 40 }, (_, i) => `l${i}`), rank: 16, alpha: 16, seed: 33 },
  wide: { labels: ['a', 'b', 'c', 'd'], rank: 20, alpha: 10, seed: 34 },
} as const;
type Name = keyof typeof EXPERTS;
const NAMES = Object.keys(EXPERTS) as Name[];
const PROBE = { labels: ['x', 'y'], seed: 35 };
const TEXTS = ['hello world', 'the card is lost', 'my law', 'please block the money of my card'];

let registry: Registry;
let host: Host;
let base: { name: string; digest: `sha256:${string}` };

async function addExpert(name: Name, channel?: 'none') {
  const { labels, ...rest } = EXPERTS[name];
  await writePicoLowRank(registry.path(name), { name, seed: rest.seed }, labels, base, rest);
  await registry.add(name, channel);
}

beforeEach(async () => {
  registry = await Registry.open();
  const { digest } = await writePicoBase(registry.path('pico'), { name: 'pico' }, INT8);
  base = { name: 'pico', digest };
  await registry.add('pico');
  await writePicoProbe(registry.path('probe'), { name: 'probe', seed: PROBE.seed }, PROBE.labels, base);
  await registry.add('probe');
});
afterEach(async () => {
  await host.stop(0);
  await registry.close();
});

/** Log-probabilities of an expert from its own graph. */
async function alone(name: Name, texts: readonly string[]): Promise<number[][]> {
  const { labels, seed } = EXPERTS[name];
  const adapter = await readLowRankAdapter(await openBundle(registry.path(name)));
  const runtime = new OrtRuntime();
  const model = materialised(decodeModel(encodeModel(picoEncoder(1, INT8))), adapter);
  const session = await runtime.load({ bytes: encodeModel(model) });
  const head = picoHead(labels.length, seed);
  const result: number[][] = [];
  for (const row of await Tokenizer.parse(picoTokenizer()).encode(texts, 32)) {
    const { inputIds, attentionMask } = padTokens([row]);
    const { embedding } = await session.run({ input_ids: inputIds, attention_mask: attentionMask });
    const vector = embedding?.data as Float32Array;
    // Heads are stored as float16.
    const half = (value: number) => Math.f16round(value);
    const logits = labels.map((_, label) =>
      vector.reduce((sum, x, j) => sum + x * half(head.weights[label * 16 + j]!), half(head.bias[label]!)),
    );
    const all = logSumExp(Float64Array.from(logits));
    result.push(logits.map((logit) => logit - all));
  }
  await runtime.close();
  return result;
}

async function logProbabilities(name: string, texts: readonly string[], labels: number): Promise<number[][]> {
  const scores = valuesOf(await ask(host, name, texts), 'scores') as number[];
  return texts.map((_, i) => scores.slice(i * labels, (i + 1) * labels).map(Math.log));
}

/** Largest difference of log-probabilities that are not vanishingly small, where float32 scores have no digits left. */
function distance(a: readonly number[][], b: readonly number[][]): number {
  return Math.max(
    ...a.flatMap((row, i) => row.map((value, j) => (b[i]![j]! > -12 ? Math.abs(value - b[i]![j]!) : 0))),
  );
}

describe('low-rank experts on one base', () => {
  it('answer in one mixed batch as each does from a graph of its own, and as before when asked alone', async () => {
    const environment = { THALAMUS_BATCH_DELAY_MS: '200', THALAMUS_MAX_BATCH_TOKENS: '4096' };
    host = await Host.start(registry, environment);
    const probe = valuesOf(await ask(host, 'probe', TEXTS), 'scores') as number[];
    for (const name of NAMES) await addExpert(name);
    for (const name of NAMES) await host.until(name, '1', 'ready');
    const [answers, among] = await Promise.all([
      Promise.all(NAMES.map((name) => logProbabilities(name, TEXTS, EXPERTS[name].labels.length))),
      ask(host, 'probe', TEXTS),
    ]);
    expect(Number(among.parameters['batch_size']?.parameterChoice.value)).toBeGreaterThan(TEXTS.length);
    const between = valuesOf(among, 'scores') as number[];
    expect(Math.max(...between.map((value, i) => Math.abs(value - probe[i]!)))).toBeLessThan(1e-5);
    for (const [index, name] of NAMES.entries()) {
      const expected = await alone(name, TEXTS);
      expect(distance(answers[index]!, expected)).toBeLessThan(1e-4);
      const again = await logProbabilities(name, TEXTS, EXPERTS[name].labels.length);
      expect(distance(again, expected)).toBeLessThan(1e-4);
    }
    const [small, middle] = [await alone('small', TEXTS), await alone('middle', TEXTS)];
    // The adapters matter: another expert's answers are far away.
    expect(distance(small, middle)).toBeGreaterThan(0.1);
  });

  it('come back with all their rows after the inference process has died', async () => {
    for (const name of NAMES) await addExpert(name);
    host = await Host.start(registry);
    process.kill(host.childPid('pico'), 'SIGKILL');
    for (const name of NAMES) {
      const labels = EXPERTS[name].labels.length;
      const answer = await logProbabilities(name, TEXTS, labels);
      expect(distance(answer, await alone(name, TEXTS))).toBeLessThan(1e-4);
    }
  });

  it('are unloaded while a batch runs, loaded twice at once, and loaded again into the row of another', async () => {
    for (const name of NAMES) await addExpert(name, 'none');
    host = await Host.start(registry, { THALAMUS_BATCH_DELAY_MS: '50' });
    const load = (name: Name) => host.client.repositoryModelLoad({ modelName: `${name}@1` });
    await Promise.all([load('small'), load('small'), load('middle')]);
    const inFlight = logProbabilities('small', TEXTS, 2);
    const gone = host.client.repositoryModelUnload({ modelName: 'small@1' });
    expect(distance(await inFlight, await alone('small', TEXTS))).toBeLessThan(1e-4);
    await gone;
    expect(await refusalOf(ask(host, 'small', TEXTS))).toMatchObject({ code: 'EXPERT_NOT_READY' });
    await load('full');
    expect(distance(await logProbabilities('full', TEXTS, 40), await alone('full', TEXTS))).toBeLessThan(
      1e-4,
    );
    await load('small');
    for (const name of ['small', 'middle'] as const) {
      const answer = await logProbabilities(name, TEXTS, EXPERTS[name].labels.length);
      expect(distance(answer, await alone(name, TEXTS))).toBeLessThan(1e-4);
    }
  });

  it('are refused alone for a rank, layers or a base that do not fit, and for a task without a head here', async () => {
    const labels = ['a', 'b'];
    const write = (name: string, over: typeof base, rank: number, factors = picoFactors(rank, 1)) =>
      writePicoLowRank(registry.path(name), { name }, labels, over, { rank, alpha: 1, factors });
    await write('too-wide', base, 65);
    const [first, ...others] = picoFactors(2, 1);
    await write('misfit', base, 2, [{ ...first!, inputs: 8, a: new Float32Array(16) }, ...others]);
    const zero = new Float32Array(16);
    const dense = new Float32Array(256);
    const head = { task: 'fill-mask' as const, dense, denseBias: zero, gain: zero, shift: zero, bias: zero };
    const { manifest } = await openBundle(registry.path('probe'));
    const { files, labels: none, ...kept } = manifest;
    expect([files.length, none?.length]).toEqual([1, 2]);
    const parts = lowRankFiles({ baseName: 'pico', factors: picoFactors(2, 1), rank: 2, alpha: 2, head });
    for (const [name, task] of [
      ['masked', 'fill-mask'],
      ['vectors', 'feature-extraction'],
    ] as const)
      await writeBundle(registry.path(name), { ...kept, name, kind: 'lowrank', task }, parts);
    const other = await writePicoBase(join(registry.folder, 'other'), { name: 'other', seed: 9 });
    await write('elsewhere', { name: 'other', digest: other.digest }, 2);
    for (const name of ['too-wide', 'misfit', 'masked', 'vectors', 'elsewhere']) await registry.add(name);
    await addExpert('small');
    host = await Host.start(registry);
    const { models } = await host.client.repositoryIndex({});
    const reasons = Object.fromEntries(models.map(({ name, reason }) => [name, reason]));
    expect(reasons['too-wide']).toContain('has the rank 65; a host serves ranks up to 64');
    expect(reasons['misfit']).toContain('takes 8 values where the layer of its base has 16');
    expect(reasons['masked']).toContain('cls.predictions.bias has the shape [16] where');
    expect(reasons['vectors']).toContain(
      'is lowrank for feature-extraction; over a base this host serves text-classification and fill-mask',
    );
    expect(reasons['elsewhere']).toContain(other.digest.slice('sha256:'.length));
    expect(reasons['small']).toBe('');
    expect(distance(await logProbabilities('small', TEXTS, 2), await alone('small', TEXTS))).toBeLessThan(
      1e-4,
    );
  });
});
