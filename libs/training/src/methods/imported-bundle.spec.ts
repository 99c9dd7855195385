import {
  openBundle,
  parsePeftAdapter,
  PEFT_FILES,
  readPeftFolder,
  writeBundle,
  type Digest,
} from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { writePicoBase, writePicoLowRank } from '@thalamus/testing';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingBase } from '../training-base.port.js';
import { importedBundle } from './imported-bundle.js';
import { openClassifier } from './open-classifier.js';
import { openTrainingBase, type BaseTools } from './open-training-base.js';

const LABELS = ['cards', 'law', 'greeting'];
const TEXTS = ['my card is lost', 'the law of the court', 'hello world', 'please block it'];

describe('importedBundle', () => {
  let folder = '';
  let base: TrainingBase;
  let tools: BaseTools;
  const runtime = new OrtRuntime();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'import-'));
    await writePicoBase(join(folder, 'base'), { name: 'pico' });
    tools = { runtime, threads: 1, readTokenizer: (json) => Tokenizer.parse(json) };
    base = await openTrainingBase(join(folder, 'base'), tools);
    // An expert, and the same files under the names that PEFT gives them.
    await writePicoLowRank(
      join(folder, 'expert'),
      { name: 'original', seed: 5 },
      LABELS,
      { name: 'pico', digest: base.digest },
      { rank: 4, alpha: 6 },
    );
    await mkdir(join(folder, 'peft'));
    await copyFile(join(folder, 'expert/adapter.safetensors'), join(folder, 'peft', PEFT_FILES.adapter));
    await copyFile(join(folder, 'expert/adapter_config.json'), join(folder, 'peft', PEFT_FILES.config));
  });
  afterAll(async () => {
    await runtime.close();
    await rm(folder, { recursive: true, force: true });
  });

  const imported = async (labels: readonly string[]) => {
    const files = await readPeftFolder(join(folder, 'peft'), join(folder, 'expert/head.safetensors'));
    const parsed = parsePeftAdapter(files, {
      shapes: base.read.weights,
      hidden: base.read.config.hiddenSize,
    });
    return importedBundle(parsed, base, {
      name: 'imported',
      version: '1',
      description: 'What is it about?',
      licence: 'CC0-1.0',
      origin: 'this test',
      labels,
      date: '2026-01-01',
    });
  };
  const written = async (name: string): Promise<Digest> => {
    const { manifest, files } = await imported(LABELS);
    return (await writeBundle(join(folder, name), manifest, files)).digest;
  };
  const answers = async (name: string) => {
    const classifier = await openClassifier(await openBundle(join(folder, name)), { ...tools, base });
    const scores = await classifier.answer(TEXTS);
    await classifier.release();
    return scores;
  };

  it('answers as the expert whose adapter was imported, to the bit; twice the same bytes', async () => {
    expect(await written('a')).toBe(await written('b'));
    const original = await answers('expert');
    expect(await answers('a')).toEqual(original);
    // The branches matter: the head alone gives other answers.
    const files = await readPeftFolder(join(folder, 'peft'), join(folder, 'expert/head.safetensors'));
    const { adapter, head } = parsePeftAdapter(files, {
      shapes: base.read.weights,
      hidden: base.read.config.hiddenSize,
    });
    expect(adapter.factors).toHaveLength(12);
    const flat = adapter.factors.map((it) => ({ ...it, b: new Float32Array(it.b.length) }));
    const facts = { name: 'flat', version: '1', description: 'Head alone.', licence: 'CC0-1.0' };
    const without = importedBundle({ adapter: { ...adapter, factors: flat }, head, headFrom: '' }, base, {
      ...facts,
      origin: 'this test',
      labels: LABELS,
      date: '2026-01-01',
    });
    await writeBundle(join(folder, 'flat'), without.manifest, without.files);
    expect(await answers('flat')).not.toEqual(original);
  });

  it('says that nothing was measured, and what the expert stands on', async () => {
    await written('said');
    const { manifest } = await openBundle(join(folder, 'said'));
    expect(manifest).toMatchObject({
      kind: 'lowrank',
      base: { name: 'pico', digest: base.digest },
      labels: LABELS,
      evaluation: [],
      trainingData: [],
      lineage: { recipe: 'import: LoRA of PEFT, rank 4, alpha 6; origin: this test' },
    });
  });

  it.each([[['a', 'b']], [['a', 'b', 'c', 'd']], [['a', 'b', 'a']]])(
    'refuses the labels %j for a head of three rows',
    async (labels) => {
      await expect(imported(labels)).rejects.toThrow(/head of 3 rows; name 3 different labels/);
    },
  );
});
