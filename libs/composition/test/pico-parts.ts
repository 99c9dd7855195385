import { openBundle, writeBundle, type ExpertManifest, type WrittenBundle } from '@thalamus/bundle';
import { Tokenizer } from '@thalamus/inference';
import { encodeModel, readBertWeights, type BertConfig, type Weights } from '@thalamus/onnx-graph';
import { createRandom } from '@thalamus/tensor';
import { PICO_CONFIG, picoEncoder, picoFacts, picoHead, writePicoBase } from '@thalamus/testing';
import { classifierGraph, transposed } from '@thalamus/training';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  canonicalRecipe,
  readRecipe,
  type CompositionTask,
  type DataFile,
  type TaskParent,
} from '../src/index.js';
import { tuned } from './pico-twin.js';

/** Words of tasks, so that a router can tell them apart. */
export const WORDS: Readonly<Record<string, readonly string[]>> = {
  cards: ['my', 'card', 'lost', 'block', 'money'],
  law: ['the', 'law', 'court', 'hello', 'world'],
};
export const LABELS = ['first', 'second'];
const OTHERS = ['please', 'it', '?', 'hello', 'lost'];

/** Texts of a few words of a list, all different. */
export function textsOf(words: readonly string[], count: number, seed: number): string[] {
  const random = createRandom(seed);
  const made = new Set<string>();
  while (made.size < count)
    made.add(Array.from({ length: 3 + random.below(4) }, () => words[random.below(words.length)]!).join(' '));
  return [...made];
}

/** What a parent is made of besides its name. */
export interface PicoFull {
  readonly weights?: Weights;
  readonly config?: BertConfig;
  readonly labels?: readonly string[];
  readonly manifest?: Partial<ExpertManifest>;
}

/** A folder with a pico base, classifiers of all its weights, and rows: everything a composition is made of. */
export class PicoParts {
  readonly base: Weights = readBertWeights(picoEncoder(1)).weights;
  private digest!: WrittenBundle['digest'];

  private constructor(readonly folder: string) {}

  static async make(): Promise<PicoParts> {
    const parts = new PicoParts(await mkdtemp(join(tmpdir(), 'thalamus-parts-')));
    ({ digest: parts.digest } = await writePicoBase(parts.at('base'), { name: 'pico' }));
    return parts;
  }

  at(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Writes a classifier of all weights, as `thalamus experts train --method full` does, and rows of its task. */
  async parent(name: string, seed: number, made: PicoFull = {}): Promise<TaskParent> {
    const { labels = LABELS, config = PICO_CONFIG, weights = tuned(this.base, seed, 0.1) } = made;
    const { weights: head, bias } = picoHead(labels.length, seed);
    const graph = classifierGraph(config, weights, {
      weights: transposed(head, labels.length, config.hiddenSize),
      bias,
    });
    const { readFile } = await openBundle(this.at('base'));
    const tokenizer = await readFile('tokenizer.json');
    Tokenizer.parse(tokenizer);
    const folder = this.at('experts', `${name}-${seed}`);
    const { digest } = await writeBundle(
      folder,
      {
        ...picoFacts(),
        name,
        version: '1',
        kind: 'full',
        task: 'text-classification',
        labels: [...labels],
        maxTokens: PICO_CONFIG.maxPositions,
        lineage: { parents: [{ name: 'pico', version: '1', digest: this.digest }] },
        ...made.manifest,
      },
      { 'model.onnx': encodeModel(graph), 'tokenizer.json': tokenizer },
    );
    const all = textsOf(WORDS[name] ?? OTHERS, 90, seed);
    return {
      name,
      version: '1',
      digest,
      folder,
      train: [await this.rows(`${name}-${seed}.train.csv`, all.slice(0, 60), labels)],
      test: [await this.rows(`${name}-${seed}.test.csv`, all.slice(60), labels)],
    };
  }

  /** Writes labelled rows. */
  async rows(file: string, texts: readonly string[], labels: readonly string[] = LABELS): Promise<DataFile> {
    const lines = texts.map((text, at) => `${text},${labels[at % labels.length]!}\n`);
    await mkdir(this.at('rows'), { recursive: true });
    await writeFile(this.at('rows', file), `text,label\n${lines.join('')}`);
    return { dataset: file, path: this.at('rows', file), licence: 'CC0-1.0', origin: 'a test' };
  }

  /** A task as the composer or the command line would make it. */
  task(
    parents: readonly TaskParent[],
    { parameters = {}, method = 'twin', seed = 0n, prompts = [], ...more }: TaskWishes = {},
  ): CompositionTask {
    const recipe = readRecipe(
      JSON.stringify({
        merge_method: method,
        base_model: 'pico',
        models: parents.map(({ name }) => ({ model: name })),
        parameters: method === 'twin' ? { rank: 2, ...parameters } : parameters,
      }),
      { seed, name: 'both', prompts },
    );
    return {
      document: recipe.document,
      seed: recipe.seed,
      recipe: canonicalRecipe(
        recipe,
        parents.map((parent) => ({ ...parent, rows: { train: [], test: [] } })),
      ),
      parents,
      prompts: recipe.prompts,
      base: { digest: this.digest, folder: this.at('base') },
      result: { name: 'both', version: '1', codeVersion: 'thalamus 0.0.0' },
      outputFolder: this.at('made'),
      threads: 1,
      maxLossPoints: 100,
      ...more,
    };
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

/** What a task differs in. */
export interface TaskWishes extends Partial<Pick<CompositionTask, 'outputFolder' | 'threads'>> {
  readonly method?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly seed?: bigint;
  readonly prompts?: readonly string[];
}
