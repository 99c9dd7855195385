import { type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  Tokenizer,
  type BatchOutcome,
  type InferenceRuntime,
  type SubmitOptions,
  type TokenRow,
} from '@thalamus/inference';
import { BaseSession } from './base-session.js';
import { ClassifierHeads, expertGone } from './classifier-heads.js';
import { inspectBundleGraph } from './inspect-bundle.js';
import { LowRankAdapters } from './low-rank-adapters.js';
import type { Place } from './row-stack.js';
import { TextQueue, type BatchSettings, type QueuedText } from './text-queue.js';

/** What comes back for one text. */
export interface BaseAnswer {
  /** float32 [width] */
  readonly embedding: Float32Array;
  /** Logits of the head; undefined when none was asked for. */
  readonly logits: Float32Array | undefined;
  readonly tokenCount: number;
  readonly truncated: boolean;
  readonly batchSize: number;
}

/** The expert that a text is for. */
export interface ExpertWish {
  readonly id: string;
  /** Whether it has an adapter besides its head. */
  readonly isLowRank: boolean;
}

/** Undefined for nothing but the embedding. */
type Wish = ExpertWish | undefined;

/** Settings of a base. */
export interface BaseSettings extends BatchSettings {
  /** Folder for graphs that are derived from bundles. */
  readonly derivedFolder: string;
}

interface OpenedBase {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly width: number;
  readonly session: BaseSession;
  readonly tokenizer: Tokenizer;
}

/** One base encoder that is loaded once, with its queue and the experts that stand on it. */
export class ResidentBase {
  readonly heads: ClassifierHeads;
  readonly adapters: LowRankAdapters;
  readonly manifest: ExpertManifest;
  /** Width of the embedding. */
  readonly width: number;
  readonly memoryBytes: number;
  private readonly queue: TextQueue<Wish, BaseAnswer>;
  private users = 0;

  private constructor(
    private readonly opened: OpenedBase,
    runtime: InferenceRuntime,
    settings: BaseSettings,
  ) {
    this.manifest = opened.bundle.manifest;
    this.width = opened.width;
    this.memoryBytes = opened.bundle.sizeBytes;
    this.heads = new ClassifierHeads(runtime, opened.width);
    this.adapters = new LowRankAdapters(runtime, opened.session);
    this.queue = new TextQueue({
      ...settings,
      tokenise: (texts) => opened.tokenizer.encode(texts, this.manifest.maxTokens),
      run: (items) => this.run(items),
    });
  }

  /** Opens a checked bundle after a structural look at its graph. @throws GRAPH_INVALID, BUNDLE_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    runtime: InferenceRuntime,
    settings: BaseSettings,
  ): Promise<ResidentBase> {
    const { manifest } = bundle;
    const summary = await inspectBundleGraph(bundle);
    const output = summary.outputs.find(({ name }) => name === 'embedding');
    const width = output?.shape.at(-1);
    if (output?.dtype !== 'float32' || typeof width !== 'number') {
      throw new ThalamusError(
        'GRAPH_INVALID',
        `${manifest.name} has no float32 output "embedding" of a fixed width, which a feature-extraction expert needs.`,
      );
    }
    const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
    const [warmUp] = await tokenizer.encode(['warm-up'], manifest.maxTokens);
    const session = await BaseSession.open(bundle, runtime, settings, warmUp as TokenRow);
    return new ResidentBase({ bundle, width, session, tokenizer }, runtime, settings);
  }

  /** Runs texts, in batches with whatever else waits. */
  submit(texts: readonly string[], wish: Wish, options: SubmitOptions): Promise<BaseAnswer[]> {
    return this.queue.submit(texts, () => wish, options);
  }

  retain(): void {
    this.users += 1;
  }

  /** Ends what `retain` began; true when nobody stands on the base any more, so that it can be released. */
  drop(): boolean {
    this.users -= 1;
    return this.users === 0;
  }

  async release(): Promise<void> {
    await this.heads.release();
    await this.adapters.release();
    await this.opened.session.release();
  }

  private async run(items: readonly QueuedText<Wish>[]): Promise<BatchOutcome<BaseAnswer>[]> {
    const embeddings = await this.embed(items);
    const questions = items.flatMap(({ wish }, index) => {
      const embedding = embeddings[index];
      return wish && embedding ? [{ head: wish.id, embedding }] : [];
    });
    const logits = await this.heads.logits(questions);
    let next = 0;
    return items.map(({ wish, tokens }, index) => {
      const embedding = embeddings[index];
      if (!embedding) return expertGone();
      const outcome = wish ? logits[next++] : undefined;
      if (ThalamusError.is(outcome)) return outcome;
      const { ids, truncated } = tokens;
      return { embedding, logits: outcome, tokenCount: ids.length, truncated, batchSize: items.length };
    });
  }

  /**
   * Embeddings of the items, each under the adapter of its expert; undefined for an expert that has been let go. Adapters of
   * one size run in one batch with the texts that have none; those of another size in a run of their own.
   */
  private async embed(items: readonly QueuedText<Wish>[]): Promise<(Float32Array | undefined)[]> {
    const result: (Float32Array | undefined)[] = items.map(() => undefined);
    const places = items.map(({ wish }) => (wish?.isLowRank ? this.adapters.place(wish.id) : undefined));
    const alive = [...items.keys()].filter((index) => places[index] || !items[index]?.wish?.isLowRank);
    const first = places.find((place) => place)?.size;
    const bySize = Map.groupBy(alive, (index) => places[index]?.size ?? first);
    for (const [size, indices] of bySize) {
      const tokens = indices.flatMap((index) => items[index]?.tokens ?? []);
      const rows = await this.encode(
        tokens,
        size,
        indices.map((index) => places[index]),
      );
      indices.forEach((index, at) => {
        result[index] = rows[at];
      });
    }
    return result;
  }

  private async encode(
    tokens: readonly TokenRow[],
    size: number | undefined,
    places: readonly (Place | undefined)[],
  ): Promise<Float32Array[]> {
    const { session } = this.opened;
    if (size === undefined) return session.encode(tokens, undefined, () => this.adapters.stack());
    const stack = await this.adapters.stack(size);
    return session.encode(tokens, { stack, rows: Int32Array.from(places, (place) => place?.row ?? 0) });
  }
}
