import {
  materialiseBundle,
  openRouterBundle,
  type ArtifactStore,
  type Digest,
  type RouterManifest,
} from '@thalamus/bundle';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { DynamicBatcher, type SubmitOptions, type TokenRow } from '@thalamus/inference';
import {
  calibratedPredictions,
  decidingStage,
  predictLosses,
  prototypeDistances,
  regionIds,
  regionOfStage,
  stageVerdict,
  type DecidingStage,
  type Prediction,
} from '@thalamus/routing';
import { counter } from '@thalamus/telemetry';
import { openRouterParts, type RouterParts } from './open-router-parts.js';
import { PromptCache } from './prompt-cache.js';
import { RiskControl } from './risk-control.js';
import { MAX_BATCH_TOKENS, SecondStage, type SecondAnswer } from './second-stage.js';
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
  /** Of a model with two stages. */
  readonly stage: DecidingStage | undefined;
  readonly timings: RunTimings;
}

/** What the first stage says of one prompt, or the only one. */
interface FirstAnswer {
  /** As the heads give them, [candidates]. */
  readonly losses: Float32Array;
  readonly region: number;
  /** From what the model was fitted on; 0 when the model has no prototypes. */
  readonly distance: number;
  readonly tokens: TokenRow;
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

/** A router model with its encoder, ready to predict. Immutable: a new model is a new one of these. */
export class LoadedRouterModel {
  private readonly batcher: DynamicBatcher<string, FirstAnswer>;
  private readonly second: SecondStage | undefined;

  /** Certifies bounds on the risk; undefined without rows to do so by. */
  readonly risk: RiskControl | undefined;
  private readonly inFlight = new Set<Promise<unknown>>();
  private readonly cache: PromptCache<PromptPrediction>;
  private readonly lookUps = counter(METRICS.promptCache);

  private constructor(
    readonly digest: Digest,
    private readonly parts: RouterParts,
    options: RouterModelOptions,
  ) {
    const { maxTokens } = parts.manifest.encoder;
    this.cache = new PromptCache(options.promptCache);
    this.risk = parts.riskRows && new RiskControl(parts.riskRows);
    this.second = parts.second && new SecondStage(parts.second, options);
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
    const parts = await openRouterParts(bundle, encoders);
    const model = new LoadedRouterModel(digest, parts, options);
    try {
      // The first runs are compiled and allocated for; the first caller should not wait for that.
      for (let run = 0; run < WARM_UP_RUNS; run++) {
        const [answer] = await model.run(['warm-up']);
        if (answer) await model.second?.run([{ text: 'warm-up', tokens: answer.tokens }]);
      }
    } catch (fault) {
      await parts.release();
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
    const work = this.predictByStages(prompt, options);
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

  /** Asks the second stage only where the first leaves open who is best. */
  private async predictByStages(prompt: string, options: SubmitOptions): Promise<PromptPrediction> {
    const first = await this.batcher.submit(prompt, options);
    const { second } = this;
    if (!second) return this.predictionOf(first);
    const verdict = stageVerdict(first.losses, first.region, second.gate);
    const answer = verdict.needsSecond
      ? await second.predict({ text: prompt, tokens: first.tokens }, options)
      : undefined;
    const experts = this.manifest.candidates.map(({ expert }) => expert);
    return this.predictionOf(
      { ...first, region: regionOfStage(first.region, verdict.needsSecond, second.gate) },
      answer,
      decidingStage(verdict, second.gate, experts),
    );
  }

  /** Lets go of the encoder once the prompts that were given to it are answered. */
  async release(): Promise<void> {
    while (this.inFlight.size > 0) await Promise.allSettled(this.inFlight);
    await this.parts.release();
  }

  private async run(prompts: readonly string[]): Promise<FirstAnswer[]> {
    const { vectors, heads, centroids, prototypes } = this.parts;
    const { embeddings, width, rows, tokeniseMs, encodeMs } = await vectors.encode(prompts);
    const startedAt = performance.now();
    const losses = predictLosses(heads, embeddings);
    const regions = centroids ? regionIds(embeddings, centroids, width) : new Uint32Array(prompts.length);
    const distances = prototypes ? prototypeDistances(embeddings, prototypes, width) : undefined;
    const timings = { tokeniseMs, encodeMs, predictMs: performance.now() - startedAt };
    const candidates = this.manifest.candidates.length;
    return rows.map((tokens, row) => ({
      losses: losses.subarray(row * candidates, (row + 1) * candidates),
      region: regions[row] ?? 0,
      distance: distances?.[row] ?? 0,
      tokens,
      timings,
    }));
  }

  /** What both stages say together, calibrated. */
  private predictionOf(first: FirstAnswer, second?: SecondAnswer, stage?: DecidingStage): PromptPrediction {
    const { abstention } = this.manifest.calibration;
    const losses = second?.losses ?? first.losses;
    const outOfScopeScore = abstention?.score === 'prototype-distance' ? first.distance : Math.min(...losses);
    const { tokeniseMs, encodeMs, predictMs } = first.timings;
    return {
      predictions: calibratedPredictions(losses, first.region, this.manifest),
      regionId: first.region,
      outOfScopeScore,
      outOfScope: abstention !== undefined && outOfScopeScore > abstention.threshold,
      promptTokens: first.tokens.ids.length,
      truncated: first.tokens.truncated,
      stage,
      timings: {
        tokeniseMs,
        encodeMs: encodeMs + (second?.encodeMs ?? 0),
        predictMs: predictMs + (second?.predictMs ?? 0),
      },
    };
  }
}
