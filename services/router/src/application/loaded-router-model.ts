import {
  materialiseBundle,
  openRouterBundle,
  readSafetensors,
  requireFloat32,
  type ArtifactStore,
  type Digest,
  type OpenedBundle,
  type RouterManifest,
} from '@thalamus/bundle';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  DynamicBatcher,
  PromptEncoder,
  Tokenizer,
  type PromptVectors,
  type SubmitOptions,
} from '@thalamus/inference';
import {
  calibratedPredictions,
  encoderFromTensors,
  headsFromTensors,
  predictLosses,
  prototypeDistances,
  regionIds,
  riskRowsFromTensors,
  type FeatureBlock,
  type FeatureSpec,
  type LossHeads,
  type Prediction,
  type RiskRows,
} from '@thalamus/routing';
import { counter } from '@thalamus/telemetry';
import { PromptCache } from './prompt-cache.js';
import { RiskControl } from './risk-control.js';
import type { SharedEncoders } from './shared-encoders.js';

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
  readonly timings: RunTimings;
}

/** Milliseconds by stage of the batch that a prompt ran in. */
interface RunTimings {
  readonly tokeniseMs: number;
  readonly encodeMs: number;
  readonly predictMs: number;
}

/** How a model is loaded. */
export interface RouterModelOptions {
  readonly cacheFolder: string;
  readonly threads: number;
  readonly maxBatch: number;
  readonly batchDelayMs: number;
  readonly maxQueue: number;
  /** Prompts whose prediction is kept. */
  readonly promptCache: number;
}

const WARM_UP_RUNS = 5;
/** Timings of a prediction that is known already. */
const NO_TIME: RunTimings = { tokeniseMs: 0, encodeMs: 0, predictMs: 0 };

/** Letters of one token of English text, about: enough to tell long prompts from short ones. */
const CHARACTERS_PER_TOKEN = 4;
/** Most tokens of a batch, padding included; larger ones take no less time for each token. */
const MAX_BATCH_TOKENS = 512;

/** What a loaded model is made of. */
interface RouterModelParts {
  readonly manifest: RouterManifest;
  readonly vectors: PromptVectors;
  /** Gives the encoder back. */
  readonly release: () => Promise<void>;
  readonly heads: LossHeads;
  readonly prototypes: Float32Array | undefined;
  readonly centroids: Float32Array | undefined;
  readonly riskRows: RiskRows | undefined;
}

/** A router model with its encoder, ready to predict. Immutable: a new model is a new one of these. */
export class LoadedRouterModel {
  private readonly batcher: DynamicBatcher<string, PromptPrediction>;

  /** Certifies bounds on the risk; undefined without rows to do so by. */
  readonly risk: RiskControl | undefined;
  private readonly inFlight = new Set<Promise<unknown>>();
  private readonly cache: PromptCache<PromptPrediction>;
  private readonly lookUps = counter(METRICS.promptCache);

  private constructor(
    readonly digest: Digest,
    private readonly parts: RouterModelParts,
    options: RouterModelOptions,
  ) {
    const { maxTokens } = parts.manifest.encoder;
    this.cache = new PromptCache(options.promptCache);
    this.risk = parts.riskRows && new RiskControl(parts.riskRows);
    this.batcher = new DynamicBatcher({
      maxBatch: options.maxBatch,
      maxDelayMs: options.batchDelayMs,
      maxQueue: options.maxQueue,
      // A batch is padded to its longest prompt: those of like length go together, and memory stays bounded.
      sizeOf: (prompt) => Math.min(Math.ceil(prompt.length / CHARACTERS_PER_TOKEN), maxTokens),
      maxCost: MAX_BATCH_TOKENS,
      run: (prompts) => this.run(prompts),
    });
  }

  get manifest(): RouterManifest {
    return this.parts.manifest;
  }

  /** Fetches, checks and opens a model with its encoder, and warms both. @throws BUNDLE_INVALID, GRAPH_INVALID, ARTIFACT_NOT_FOUND */
  static async open(
    digest: Digest,
    store: ArtifactStore,
    encoders: SharedEncoders,
    options: RouterModelOptions,
  ): Promise<LoadedRouterModel> {
    const bundle = await openRouterBundle(await materialiseBundle(digest, store, options.cacheFolder));
    const { manifest } = bundle;
    const tensors = await readTensors(bundle);
    const opened = await openVectors(bundle, tensors.spec, encoders);
    const model = new LoadedRouterModel(digest, { manifest, ...opened, ...tensors }, options);
    try {
      // The first runs are compiled and allocated for; the first caller should not wait for that.
      for (let run = 0; run < WARM_UP_RUNS; run++) await model.run(['warm-up']);
    } catch (fault) {
      await opened.release();
      throw fault;
    }
    return model;
  }

  /**
   * Predicts for one prompt of a tenant: as it did when the prompt came before, else in a batch with whatever else waits;
   * `queueMs` is how long it waited for its batch.
   */
  async predict(
    prompt: string,
    options: SubmitOptions & { readonly tenant: string },
  ): Promise<PromptPrediction & { readonly queueMs: number }> {
    const key = this.cache.keyOf(options.tenant, prompt);
    if (key === undefined) return this.predictNew(prompt, options);
    const known = this.cache.get(key);
    this.lookUps.add(1, { [ATTRIBUTES.outcome]: known ? 'hit' : 'miss' });
    if (known) return { ...known, queueMs: 0 };
    const { queueMs, ...prediction } = await this.predictNew(prompt, options);
    this.cache.set(key, { ...prediction, timings: NO_TIME });
    return { ...prediction, queueMs };
  }

  private async predictNew(
    prompt: string,
    options: SubmitOptions,
  ): Promise<PromptPrediction & { readonly queueMs: number }> {
    const startedAt = performance.now();
    const work = this.batcher.submit(prompt, options);
    this.inFlight.add(work);
    try {
      const prediction = await work;
      const { tokeniseMs, encodeMs, predictMs } = prediction.timings;
      const queueMs = Math.max(0, performance.now() - startedAt - tokeniseMs - encodeMs - predictMs);
      return { ...prediction, queueMs };
    } finally {
      this.inFlight.delete(work);
    }
  }

  /** Lets go of the encoder once the prompts that were given to it are answered. */
  async release(): Promise<void> {
    while (this.inFlight.size > 0) await Promise.allSettled(this.inFlight);
    await this.parts.release();
  }

  private async run(prompts: readonly string[]): Promise<PromptPrediction[]> {
    const encoded = await this.parts.vectors.encode(prompts);
    const startedAt = performance.now();
    const { candidates, calibration } = this.parts.manifest;
    const losses = predictLosses(this.parts.heads, encoded.embeddings);
    const regions = this.parts.centroids
      ? regionIds(encoded.embeddings, this.parts.centroids, encoded.width)
      : new Uint32Array(prompts.length);
    const distances = this.parts.prototypes
      ? prototypeDistances(encoded.embeddings, this.parts.prototypes, encoded.width)
      : undefined;
    const predictMs = performance.now() - startedAt;
    return prompts.map((_, row) => {
      const own = losses.subarray(row * candidates.length, (row + 1) * candidates.length);
      const predictions = calibratedPredictions(own, regions[row] ?? 0, this.parts.manifest);
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

async function readTensors(bundle: OpenedBundle<RouterManifest>) {
  const { manifest } = bundle;
  const { dimension, inputs, file: encoderFile } = manifest.encoder;
  const file = readSafetensors(await bundle.readFile(manifest.heads.file));
  const optional = (name: string) =>
    file.tensors.has(name) ? requireFloat32(file, name, [-1, dimension]) : undefined;
  const sizes = { dimension, candidates: manifest.candidates.length };
  return {
    heads: headsFromTensors(manifest.heads, sizes, (name, shape) => requireFloat32(file, name, shape)),
    spec: inputs && (await readSpec(bundle, inputs, encoderFile)),
    prototypes: optional('abstention.prototypes'),
    centroids: optional('regions.centroids'),
    riskRows: await readRiskRows(bundle),
  };
}

async function readRiskRows(bundle: OpenedBundle<RouterManifest>): Promise<RiskRows | undefined> {
  const { risk, candidates } = bundle.manifest;
  if (!risk) return undefined;
  const file = readSafetensors(await bundle.readFile(risk.file));
  return riskRowsFromTensors({ ...risk, candidates: candidates.length }, (name, shape) =>
    requireFloat32(file, name, shape),
  );
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

/** What makes vectors of prompts, and how it is given back. A model that reads no graph opens none. */
async function openVectors(
  bundle: OpenedBundle<RouterManifest>,
  spec: FeatureSpec | undefined,
  encoders: SharedEncoders,
): Promise<{ readonly vectors: PromptVectors; release(): Promise<void> }> {
  const { digest, maxTokens, tokenizer } = bundle.manifest.encoder;
  if (spec && tokenizer !== undefined && !spec.blocks.some(({ kind }) => kind === 'sentence')) {
    const own = { tokenizer: Tokenizer.parse(await bundle.readFile(tokenizer)), maxTokens };
    return { vectors: new PromptEncoder(own, spec), release: () => Promise.resolve() };
  }
  const lease = await encoders.acquire(digest, maxTokens);
  const vectors = spec ? new PromptEncoder(lease.encoder, spec) : lease.encoder;
  return { vectors, release: () => lease.release() };
}
