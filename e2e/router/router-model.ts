import {
  float32Tensor,
  importBundle,
  writeRouterBundle,
  writeSafetensors,
  type ArtifactStore,
  type Digest,
  type RouterManifest,
} from '@thalamus/bundle';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../support/paths.js';

/** Counts of a prompt that the model reads; its heads weigh none of them. */
const WIDTH = 12;

/** What a router model predicts, in errors, and the encoder that it names. */
export interface ConstantLosses {
  readonly losses: Readonly<Record<string, number>>;
  readonly encoder: Digest;
}

/** Stores a router model that reads no graph and predicts the same loss of an expert for every prompt. */
export async function storeRouterModel(
  folder: string,
  store: ArtifactStore,
  name: string,
  facts: ConstantLosses,
): Promise<Digest> {
  return (await importBundle(await writeRouterModel(folder, name, facts), store)).digest;
}

/** Writes such a router model; resolves with its folder. */
export async function writeRouterModel(
  folder: string,
  name: string,
  { losses, encoder }: ConstantLosses,
): Promise<string> {
  const experts = Object.keys(losses);
  const ones = (value: number) => float32Tensor([WIDTH], new Float32Array(WIDTH).fill(value));
  const files = {
    'heads.safetensors': writeSafetensors({
      'heads.weight': float32Tensor([experts.length, WIDTH], new Float32Array(experts.length * WIDTH)),
      'heads.bias': float32Tensor([experts.length], Float32Array.from(Object.values(losses))),
    }),
    'encoder.safetensors': writeSafetensors({ 'prompt.mean': ones(0.5), 'prompt.deviation': ones(0.1) }),
    'tokenizer.json': await readFile(join(ROOT, 'zoo/base/minilm-l6/tokenizer.json')),
  };
  await writeRouterBundle(join(folder, name), manifestOf(name, experts, encoder), files);
  return join(folder, name);
}

function manifestOf(name: string, experts: readonly string[], digest: Digest): Omit<RouterManifest, 'files'> {
  return {
    schemaVersion: 1,
    name,
    version: '1',
    task: 'text-generation',
    lossUnit: 'error',
    description: 'Predicts the same loss of an expert for every prompt.',
    encoder: {
      name: 'minilm-l6',
      digest,
      maxTokens: 256,
      dimension: WIDTH,
      inputs: [{ kind: 'prompt', width: WIDTH, weight: 1 }],
      file: 'encoder.safetensors',
      tokenizer: 'tokenizer.json',
    },
    candidates: experts.map((expert) => ({
      expert,
      version: '1',
      digest,
      fittedOn: { lossTable: digest, rows: 1 },
    })),
    heads: { kind: 'linear', file: 'heads.safetensors' },
    costScales: {},
    verbalLevels: { low: 0.1, medium: 0.5, high: 2 },
    calibration: {
      coverage: 0.9,
      intervals: experts.map((expert) => ({ expert, lower: -0.25, upper: 0.5 })),
    },
    licence: 'Apache-2.0',
    trainingData: [],
    evaluation: [{ dataset: 'none', split: 'test', metric: 'top-1', value: 0.5, n: 2, date: '2026-01-01' }],
    releaseDate: '2026-01-01',
  };
}
