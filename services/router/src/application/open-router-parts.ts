import { readSafetensors, requireFloat32, type OpenedBundle, type RouterManifest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { PromptEncoder, Tokenizer, type PromptVectors } from '@thalamus/inference';
import {
  encoderFromTensors,
  headsFromTensors,
  readFurtherParts,
  type FeatureBlock,
  type FeatureSpec,
  type LossHeads,
  type RiskRows,
  type SecondStageModel,
} from '@thalamus/routing';
import type { SecondStageParts } from './second-stage.js';
import type { SharedEncoders } from './shared-encoders.js';

/** What a loaded router model is made of. */
export interface RouterParts {
  readonly manifest: RouterManifest;
  /** Of the first stage, or the only one. */
  readonly vectors: PromptVectors;
  /** Gives the encoder back. */
  readonly release: () => Promise<void>;
  readonly heads: LossHeads;
  /** Of a model with two stages. */
  readonly second: SecondStageParts | undefined;
  readonly prototypes: Float32Array | undefined;
  readonly centroids: Float32Array | undefined;
  readonly riskRows: RiskRows | undefined;
}

/** Reads the tensors of a router model and opens its encoder. @throws BUNDLE_INVALID, GRAPH_INVALID, ARTIFACT_NOT_FOUND */
export async function openRouterParts(
  bundle: OpenedBundle<RouterManifest>,
  encoders: SharedEncoders,
): Promise<RouterParts> {
  const { manifest } = bundle;
  const { dimension, inputs, file: encoderFile } = manifest.encoder;
  const file = readSafetensors(await bundle.readFile(manifest.heads.file));
  const optional = (name: string) =>
    file.tensors.has(name) ? requireFloat32(file, name, [-1, dimension]) : undefined;
  const candidates = manifest.candidates.length;
  const spec = inputs && (await readSpec(bundle, inputs, encoderFile));
  const { second, riskRows } = await readFurtherParts(manifest, spec, async (name) => {
    const tensors = readSafetensors(await bundle.readFile(name));
    return (tensor, shape) => requireFloat32(tensors, tensor, shape);
  });
  const tensors = {
    heads: headsFromTensors(manifest.heads, { dimension, candidates }, (name, shape) =>
      requireFloat32(file, name, shape),
    ),
    prototypes: optional('abstention.prototypes'),
    centroids: optional('regions.centroids'),
    riskRows,
  };
  return { manifest, ...tensors, ...(await openVectors(bundle, { spec, second }, encoders)) };
}

/** Parts of the vector, with the tables that they are made from. */
async function readSpec(
  bundle: OpenedBundle<RouterManifest>,
  blocks: readonly FeatureBlock[],
  file: string | undefined,
): Promise<FeatureSpec> {
  const tables = file === undefined ? undefined : readSafetensors(await bundle.readFile(file));
  return encoderFromTensors({ blocks }, (name, shape) => {
    if (tables) return requireFloat32(tables, name, shape);
    throw new ThalamusError('BUNDLE_INVALID', `router.json: encoder.file is missing, which holds ${name}.`);
  });
}

/** What reads a prompt. */
interface Specs {
  readonly spec: FeatureSpec | undefined;
  readonly second: SecondStageModel | undefined;
}

/** What makes vectors of prompts, and how it is given back. A model that reads no graph opens none. */
async function openVectors(
  bundle: OpenedBundle<RouterManifest>,
  { spec, second }: Specs,
  encoders: SharedEncoders,
): Promise<Pick<RouterParts, 'vectors' | 'second' | 'release'>> {
  const { digest, maxTokens, tokenizer } = bundle.manifest.encoder;
  if (spec && !second && tokenizer !== undefined && !spec.blocks.some(({ kind }) => kind === 'sentence')) {
    const own = { tokenizer: Tokenizer.parse(await bundle.readFile(tokenizer)), maxTokens };
    return { vectors: new PromptEncoder(own, spec), second: undefined, release: () => Promise.resolve() };
  }
  const lease = await encoders.acquire(digest, maxTokens);
  return {
    vectors: spec ? new PromptEncoder(lease.encoder, spec) : lease.encoder,
    second: second && {
      vectors: new PromptEncoder(lease.encoder, second.spec),
      heads: second.heads,
      gate: second.gate,
    },
    release: () => lease.release(),
  };
}
