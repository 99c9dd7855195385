import {
  materialiseBundle,
  openBundle,
  openRouterBundle,
  parseDigest,
  readSafetensors,
  requireFloat32,
  type ArtifactStore,
  type Digest,
  type OpenedBundle,
  type RouterManifest,
  type Safetensors,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  DynamicBatcher,
  TextEncoder,
  Tokenizer,
  type InferenceRuntime,
  type InferenceSession,
  type SubmitOptions,
} from '@thalamus/inference';
import { inspectGraph } from '@thalamus/onnx-graph';
import {
  predictLosses,
  prototypeDistances,
  regionIds,
  type LossHeads,
  type Prediction,
} from '@thalamus/routing';

/** What the model says of one prompt. */
export interface PromptPrediction {
  /** By expert. */
  readonly predictions: ReadonlyMap<string, Prediction>;
  readonly regionId: number;
  readonly outOfScopeScore: number;
  /** True when the score is above the threshold. */
  readonly outOfScope: boolean;
  readonly promptTokens: number;
  readonly truncated: boolean;
  readonly timings: { readonly tokeniseMs: number; readonly encodeMs: number; readonly predictMs: number };
}

/** How a model is loaded. */
export interface RouterModelOptions {
  readonly cacheFolder: string;
  readonly threads: number;
  readonly maxBatch: number;
  readonly batchDelayMs: number;
  readonly maxQueue: number;
}

/** A router model with its encoder, ready to predict. Immutable: a new model is a new one of these. */
export class LoadedRouterModel {
  private readonly batcher: DynamicBatcher<string, PromptPrediction>;

  private constructor(
    readonly digest: Digest,
    readonly manifest: RouterManifest,
    private readonly session: InferenceSession,
    private readonly encoder: TextEncoder,
    private readonly tensors: {
      readonly heads: LossHeads;
      readonly prototypes: Float32Array | undefined;
      readonly centroids: Float32Array | undefined;
    },
    options: RouterModelOptions,
  ) {
    this.batcher = new DynamicBatcher({
      maxBatch: options.maxBatch,
      maxDelayMs: options.batchDelayMs,
      maxQueue: options.maxQueue,
      run: (prompts) => this.run(prompts),
    });
  }

  /** Fetches, checks and opens a model with its encoder, and warms both. @throws BUNDLE_INVALID, GRAPH_INVALID, ARTIFACT_NOT_FOUND */
  static async open(
    digest: Digest,
    store: ArtifactStore,
    runtime: InferenceRuntime,
    options: RouterModelOptions,
  ): Promise<LoadedRouterModel> {
    const bundle = await openRouterBundle(await materialiseBundle(digest, store, options.cacheFolder));
    const { manifest } = bundle;
    const encoderBundle = await openBundle(
      await materialiseBundle(parseDigest(manifest.encoder.digest), store, options.cacheFolder),
    );
    inspectGraph(await encoderBundle.readFile('model.onnx'));
    const tokenizer = Tokenizer.parse(await encoderBundle.readFile('tokenizer.json'));
    const session = await runtime.load(
      { path: encoderBundle.filePath('model.onnx') },
      { threads: options.threads },
    );
    const encoder = new TextEncoder(tokenizer, session, manifest.encoder.maxTokens);
    const model = new LoadedRouterModel(
      digest,
      manifest,
      session,
      encoder,
      await readTensors(bundle),
      options,
    );
    await model.run(['warm-up']);
    return model;
  }

  /** Predicts for one prompt, in a batch with whatever else waits. */
  predict(prompt: string, options: SubmitOptions): Promise<PromptPrediction> {
    return this.batcher.submit(prompt, options);
  }

  release(): Promise<void> {
    return this.session.release();
  }

  private async run(prompts: readonly string[]): Promise<PromptPrediction[]> {
    const encoded = await this.encoder.encode(prompts);
    const startedAt = performance.now();
    const { candidates, calibration } = this.manifest;
    const losses = predictLosses(this.tensors.heads, encoded.embeddings);
    const regions = this.tensors.centroids
      ? regionIds(encoded.embeddings, this.tensors.centroids, encoded.width)
      : new Uint32Array(prompts.length);
    const distances = this.tensors.prototypes
      ? prototypeDistances(encoded.embeddings, this.tensors.prototypes, encoded.width)
      : undefined;
    const predictMs = performance.now() - startedAt;
    return prompts.map((_, row) => {
      const own = losses.subarray(row * candidates.length, (row + 1) * candidates.length);
      const predictions = new Map(
        candidates.map(({ expert }, index) => {
          const loss = own[index] ?? Infinity;
          const interval = calibration.intervals[index];
          return [expert, { loss, low: loss + (interval?.lower ?? 0), high: loss + (interval?.upper ?? 0) }];
        }),
      );
      const outOfScopeScore =
        calibration.abstention?.score === 'prototype-distance' ? (distances?.[row] ?? 0) : Math.min(...own);
      return {
        predictions,
        regionId: regions[row] ?? 0,
        outOfScopeScore,
        outOfScope:
          calibration.abstention !== undefined && outOfScopeScore > calibration.abstention.threshold,
        promptTokens: encoded.tokenCounts[row] ?? 0,
        truncated: encoded.truncated[row] ?? false,
        timings: { tokeniseMs: encoded.tokeniseMs, encodeMs: encoded.encodeMs, predictMs },
      };
    });
  }
}

async function readTensors({ manifest, readFile }: OpenedBundle<RouterManifest>) {
  const file = readSafetensors(await readFile(manifest.heads.file));
  const dimension = manifest.encoder.dimension;
  const optional = (name: string) =>
    file.tensors.has(name) ? requireFloat32(file, name, [-1, dimension]) : undefined;
  return {
    heads: readHeads(manifest, file),
    prototypes: optional('abstention.prototypes'),
    centroids: optional('regions.centroids'),
  };
}

function readHeads(manifest: RouterManifest, file: Safetensors): LossHeads {
  const { dimension } = manifest.encoder;
  const count = manifest.candidates.length;
  if (manifest.heads.kind === 'linear') {
    return {
      kind: 'linear',
      dimension,
      weights: requireFloat32(file, 'heads.weight', [count, dimension]),
      bias: requireFloat32(file, 'heads.bias', [count]),
    };
  }
  const hidden = manifest.heads.hidden;
  if (hidden === undefined)
    throw new ThalamusError('BUNDLE_INVALID', 'router.json: heads.hidden is missing for this kind of head.');
  if (manifest.heads.kind === 'gated') {
    return {
      kind: 'gated',
      dimension,
      gateWeights: requireFloat32(file, 'heads.gate.weight', [hidden, dimension]),
      gateBias: requireFloat32(file, 'heads.gate.bias', [hidden]),
      weights: requireFloat32(file, 'heads.weight', [count, hidden + dimension]),
      bias: requireFloat32(file, 'heads.bias', [count]),
    };
  }
  return {
    kind: 'mlp',
    dimension,
    hiddenWeights: requireFloat32(file, 'heads.hidden.weight', [hidden, dimension]),
    hiddenBias: requireFloat32(file, 'heads.hidden.bias', [hidden]),
    weights: requireFloat32(file, 'heads.weight', [count, hidden]),
    bias: requireFloat32(file, 'heads.bias', [count]),
  };
}
