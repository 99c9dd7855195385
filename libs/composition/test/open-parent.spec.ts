import { openBundle, writeBundle, type ExpertManifest } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import type { LinearLayer } from '@thalamus/model-merge';
import { encodeModel, type OnnxModel } from '@thalamus/onnx-graph';
import { asFloat32 } from '@thalamus/tensor';
import {
  linearGraph,
  PICO_CONFIG,
  picoFacts,
  picoHead,
  writePicoBase,
  writePicoLowRank,
  writePicoMaskedLm,
  writePicoProbe,
} from '@thalamus/testing';
import {
  classifierGraph,
  openClassifier,
  openTrainingBase,
  tokenFeeds,
  TRAINING_VALUES,
  transposed,
  type BaseTools,
  type TrainingBase,
} from '@thalamus/training';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openParent, type OpenedParent } from '../src/index.js';
import { tuned } from './pico-twin.js';

const LABELS = ['cards', 'law', 'greeting'];
const TEXTS = ['my card is lost', 'the law of the court', 'hello world', 'please block it', '?'];
const WIDTH = PICO_CONFIG.hiddenSize;

let folder = '';
let base: TrainingBase;
let other: TrainingBase;
const runtime = new OrtRuntime();
const tools: BaseTools = { runtime, threads: 1, readTokenizer: (json) => Tokenizer.parse(json) };
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parent-'));
  await writePicoBase(at('base'), { name: 'pico' });
  await writePicoBase(at('other'), { name: 'other', seed: 9 });
  base = await openTrainingBase(at('base'), tools);
  other = await openTrainingBase(at('other'), tools);
});
afterAll(async () => {
  await runtime.close();
  await rm(folder, { recursive: true, force: true });
});

const standsOn = ({ manifest, digest }: TrainingBase) => ({ name: manifest.name, digest });

/** Writes a classifier of all weights, as `thalamus experts train --method full` does. */
async function writeFull(
  name: string,
  over: TrainingBase,
  more: Partial<ExpertManifest> = {},
  made: { readonly spoil?: (head: LinearLayer) => void; readonly graph?: OnnxModel } = {},
): Promise<void> {
  const head = picoHead(LABELS.length, 8);
  made.spoil?.(head);
  const graph = classifierGraph(over.read.config, tuned(over.read.weights, 3, 0.1), {
    weights: transposed(head.weights, head.bias.length, WIDTH),
    bias: head.bias,
  });
  const lineage = { parents: [{ ...standsOn(over), version: '1' }] };
  await writeBundle(
    at(name),
    {
      ...picoFacts(),
      name,
      version: '1',
      kind: 'full',
      task: 'text-classification',
      labels: LABELS,
      maxTokens: over.manifest.maxTokens,
      lineage,
      ...more,
    },
    { 'model.onnx': encodeModel(made.graph ?? graph), 'tokenizer.json': over.tokenizerJson },
  );
}

/** Log-probabilities of the texts under a parent's own weights and head. */
async function answersOf({ weights, head, labels }: OpenedParent): Promise<number[]> {
  const graph = classifierGraph(base.read.config, weights, {
    weights: transposed(head.weights, labels.length, WIDTH),
    bias: head.bias,
  });
  const session = await runtime.load({ bytes: encodeModel(graph) });
  const ids = (await base.tokens.encode(TEXTS, base.manifest.maxTokens)).map((row) => row.ids);
  const outputs = await session.run(tokenFeeds(ids, [...ids.keys()]));
  await session.release();
  const { data } = asFloat32(outputs[TRAINING_VALUES.logits], 'logits');
  return TEXTS.flatMap((_, row) => {
    const logits = [...data.subarray(row * labels.length, (row + 1) * labels.length)];
    const norm = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
    return logits.map((value) => value - norm);
  });
}

describe('openParent', () => {
  const kinds = {
    probe: () => writePicoProbe(at('probe'), { name: 'probe', seed: 4 }, LABELS, standsOn(base)),
    lowrank: () =>
      writePicoLowRank(at('lowrank'), { name: 'lowrank', seed: 5 }, LABELS, standsOn(base), {
        rank: 3,
        alpha: 6,
      }),
    full: () => writeFull('full', base),
  };

  it.each(['probe', 'lowrank', 'full'] as const)(
    'opens a %s to weights and a head that answer as the bundle does',
    async (kind) => {
      await kinds[kind]();
      const parent = await openParent(at(kind), base);
      expect(parent).toMatchObject({ name: kind, labels: LABELS, digest: parent.bundle.digest });
      expect([...parent.weights.keys()].sort()).toEqual([...base.read.weights.keys()].sort());
      const classifier = await openClassifier(await openBundle(at(kind)), { ...tools, base });
      const wanted = await classifier.answer(TEXTS);
      await classifier.release();
      const off = (await answersOf(parent)).map((value, place) => Math.abs(value - wanted[place]!));
      expect(Math.max(...off)).toBeLessThan(1e-4);
      // The weights matter: those of the base under the same head answer otherwise, but for a probe.
      const still = await answersOf({ ...parent, weights: base.read.weights });
      const moved = Math.max(...still.map((value, place) => Math.abs(value - wanted[place]!)));
      if (kind === 'probe') expect(moved).toBeLessThan(1e-4);
      else expect(moved).toBeGreaterThan(0.05);
    },
  );

  it('leaves the weights of the base as they were', async () => {
    const before = new Map([...base.read.weights].map(([name, { data }]) => [name, data.slice()]));
    await writePicoLowRank(at('again'), { name: 'again' }, LABELS, standsOn(base), { rank: 2, alpha: 2 });
    await openParent(at('again'), base);
    for (const [name, { data }] of base.read.weights) expect(data, name).toEqual(before.get(name));
  });

  const refusals: Record<string, [() => Promise<unknown>, string, string | RegExp]> = {
    'a probe over another base': [
      () => writePicoProbe(at('x1'), { name: 'stray' }, LABELS, standsOn(other)),
      'x1',
      /^stray cannot be a parent: it stands on other sha256:\w+, not on pico sha256:\w+\. Train it/,
    ],
    'a low-rank expert over another base': [
      () => writePicoLowRank(at('x2'), { name: 'stray' }, LABELS, standsOn(other), { rank: 2, alpha: 2 }),
      'x2',
      /^stray cannot be a parent: it stands on other /,
    ],
    'all weights that came of another base': [
      () => writeFull('stray-full', other),
      'stray-full',
      /^stray-full cannot be a parent: it stands on other /,
    ],
    'all weights that came of nothing': [
      () => writeFull('orphan', base, { lineage: { parents: [] } }),
      'orphan',
      /^orphan cannot be a parent: it stands on no base /,
    ],
    'a composition': [
      () => writeFull('pair', base, { kind: 'twin' }),
      'pair',
      'pair cannot be a parent: it is of the kind twin, and parents are full, lowrank, probe.',
    ],
    'the base itself': [
      () => Promise.resolve(),
      'base',
      'pico cannot be a parent: it serves feature-extraction, and parents serve text-classification.',
    ],
    'a masked language model': [
      () => writePicoMaskedLm(at('words'), { name: 'words' }, standsOn(base), { rank: 2, alpha: 2 }),
      'words',
      'words cannot be a parent: it serves fill-mask, and parents serve text-classification.',
    ],
    'a classifier that gives several labels': [
      () => writeFull('tags', base, { problemType: 'multi_label_classification' }),
      'tags',
      'tags cannot be a parent: it may give a text several labels',
    ],
  };
  it.each(Object.keys(refusals))('refuses %s by name', async (what) => {
    const [write, name, message] = refusals[what]!;
    await write();
    const opening = openParent(at(name), base);
    await expect(opening).rejects.toMatchObject({ code: 'COMPOSITION_REFUSED' });
    await expect(opening).rejects.toThrow(message);
  });

  it('refuses all weights whose head does not fit its labels, or is not finite', async () => {
    await writeFull('wide', base, { labels: [...LABELS, 'more'] });
    await expect(openParent(at('wide'), base)).rejects.toThrow(
      'wide cannot be a parent: its head has 3 outputs for 4 labels.',
    );
    await writeFull('sick', base, {}, { spoil: ({ weights }) => weights.fill(NaN, 5, 6) });
    await expect(openParent(at('sick'), base)).rejects.toThrow(
      'sick cannot be a parent: its head holds NaN or infinity',
    );
  });

  it('refuses a graph of another make, and says which have weights that can be merged', async () => {
    await writeFull('foreign', base, {}, { graph: linearGraph() });
    const opening = openParent(at('foreign'), base);
    await expect(opening).rejects.toMatchObject({ code: 'GRAPH_INVALID' });
    await expect(opening).rejects.toThrow(/^foreign cannot be a parent: .*Only classifiers that "thalamus/);
  });
});
