import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  Tokenizer,
  type BatchOutcome,
  type InferenceRuntime,
  type SubmitOptions,
  type TokenRow,
} from '@thalamus/inference';
import type { GraphSummary } from '@thalamus/onnx-graph';
import { BaseSession, type EncodedText, type TextToEncode } from './base-session.js';
import { toEncode, vectorOf, type BaseAnswer, type BaseWant, type BaseWish } from './base-wish.js';
import { ClassifierHeads, expertGone } from './classifier-heads.js';
import { DerivedGraphs, type Deriving } from './derived-graphs.js';
import { LowRankAdapters } from './low-rank-adapters.js';
import { MaskedLmHeads } from './masked-lm-heads.js';
import type { Place } from './row-stack.js';
import { TextQueue, type BatchSettings, type QueuedText } from './text-queue.js';

/** Settings of a base. */
export interface BaseSettings extends BatchSettings {
  /** Graphs that are derived from bundles. */
  readonly deriving: Deriving;
}

interface OpenedBase {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly width: number;
  readonly graphs: DerivedGraphs;
  readonly session: BaseSession;
  readonly tokenizer: Tokenizer;
}

type Item = QueuedText<BaseWish>;

/** One base encoder that is loaded once, with its queue and the experts that stand on it. */
export class ResidentBase {
  readonly heads: ClassifierHeads;
  readonly maskedHeads: MaskedLmHeads;
  readonly adapters: LowRankAdapters;
  readonly manifest: ExpertManifest;
  readonly tokenizer: Tokenizer;
  /** Width of the embedding. */
  readonly width: number;
  private readonly queue: TextQueue<BaseWish, BaseAnswer>;
  private users = 0;
  private isLetGo = false;

  private constructor(
    private readonly opened: OpenedBase,
    runtime: InferenceRuntime,
    settings: BaseSettings,
  ) {
    this.manifest = opened.bundle.manifest;
    this.tokenizer = opened.tokenizer;
    this.width = opened.width;
    this.heads = new ClassifierHeads(runtime, opened.width);
    this.maskedHeads = new MaskedLmHeads(runtime, opened.graphs);
    this.adapters = new LowRankAdapters(runtime, opened.session);
    this.queue = new TextQueue({
      ...settings,
      lanes: opened.session,
      tokenise: (texts) => opened.tokenizer.encode(texts, this.manifest.maxTokens),
      run: (items) => this.run(items),
    });
  }

  /** Opens a checked bundle whose graph has been inspected. @throws GRAPH_INVALID, BUNDLE_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    summary: GraphSummary,
    runtime: InferenceRuntime,
    settings: BaseSettings,
  ): Promise<ResidentBase> {
    const { manifest } = bundle;
    const width = embeddingWidth(summary);
    if (width === undefined)
      throw new ThalamusError(
        'GRAPH_INVALID',
        `${manifest.name} has no float32 output "embedding" of a fixed width, which a base needs.`,
      );
    const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
    const [warmUp] = await tokenizer.encode(['warm-up'], manifest.maxTokens);
    const graphs = new DerivedGraphs(bundle, settings.deriving);
    const session = await BaseSession.open(bundle, graphs, runtime, warmUp as TokenRow);
    return new ResidentBase({ bundle, width, graphs, session, tokenizer }, runtime, settings);
  }

  /** Bytes of the weights that all experts on it share. */
  get memoryBytes(): number {
    return this.opened.bundle.sizeBytes + this.maskedHeads.memoryBytes;
  }

  /** Runs texts, in batches with whatever else waits. `wishOf` may refuse a text. */
  submit(
    texts: readonly string[],
    wishOf: (index: number, tokens: TokenRow) => BaseWish,
    options: SubmitOptions,
  ): Promise<BaseAnswer[]> {
    return this.queue.submit(texts, wishOf, options);
  }

  /** Holds the base until `drop`; false when it has been let go already. */
  retain(): boolean {
    if (this.isLetGo) return false;
    this.users += 1;
    return true;
  }

  /** Ends what `retain` began; true when nobody stands on the base any more, so that it must be released. */
  drop(): boolean {
    this.users -= 1;
    this.isLetGo = this.users === 0;
    return this.isLetGo;
  }

  async release(): Promise<void> {
    await this.heads.release();
    await this.maskedHeads.release();
    await this.adapters.release();
    await this.opened.session.release();
  }

  private async run(items: readonly Item[]): Promise<BatchOutcome<BaseAnswer>[]> {
    const encoded = await this.encode(items);
    const of = (kind: BaseWant['kind']) =>
      items.flatMap(({ wish }, index) => {
        const text = encoded[index];
        return text && wish.want.kind === kind ? [{ index, head: wish.id, want: wish.want, text }] : [];
      });
    const questions = of('logits');
    const logits = await this.heads.logits(
      questions.map(({ head, text }) => ({ head, embedding: text.embedding })),
    );
    const masked = of('fillings');
    const filled = await this.maskedHeads.fillings(
      masked.map(({ head, want, text }) => ({
        head,
        states: text.states,
        topK: want.kind === 'fillings' ? want.topK : 0,
      })),
    );
    const logitsOf = new Map(questions.map(({ index }, at) => [index, logits[at]]));
    const filledOf = new Map(masked.map(({ index }, at) => [index, filled[at]]));
    return items.map(({ wish, tokens }, index) => {
      const text = encoded[index];
      if (!text) return expertGone();
      const fillings = filledOf.get(index) ?? [];
      const vector = logitsOf.get(index) ?? vectorOf(text, wish.want);
      if (ThalamusError.is(vector)) return vector;
      if (ThalamusError.is(fillings)) return fillings;
      const { ids, truncated } = tokens;
      return { vector, fillings, tokenCount: ids.length, truncated, batchSize: items.length };
    });
  }

  /**
   * The items encoded, each under the adapter of its expert; undefined for an expert that has been let go. Adapters of one size
   * run in one batch with the texts that have none; those of another size in a run of their own.
   */
  private async encode(items: readonly Item[]): Promise<(EncodedText | undefined)[]> {
    const result: (EncodedText | undefined)[] = items.map(() => undefined);
    const places = items.map(({ wish }) => (wish.isLowRank ? this.adapters.place(wish.id) : undefined));
    const alive = [...items.keys()].filter((index) => places[index] || !items[index]?.wish.isLowRank);
    const first = places.find((place) => place)?.size;
    const bySize = Map.groupBy(alive, (index) => places[index]?.size ?? first);
    for (const [size, indices] of bySize) {
      const texts = indices.flatMap((index) => toEncode(items[index]));
      const own = indices.map((index) => places[index]);
      const rows = await this.runBase(texts, size, own);
      indices.forEach((index, at) => {
        result[index] = rows[at];
      });
    }
    return result;
  }

  private async runBase(
    texts: readonly TextToEncode[],
    size: number | undefined,
    places: readonly (Place | undefined)[],
  ): Promise<EncodedText[]> {
    const { session } = this.opened;
    if (size === undefined) return session.encode(texts, undefined, () => this.adapters.stack());
    const stack = await this.adapters.stack(size);
    return session.encode(texts, { stack, rows: Int32Array.from(places, (place) => place?.row ?? 0) });
  }
}

/** Width of the float32 output `embedding` of a graph that can be a base; undefined for another graph. */
export function embeddingWidth({ outputs }: GraphSummary): number | undefined {
  const output = outputs.find(({ name }) => name === 'embedding');
  const width = output?.shape.at(-1);
  return output?.dtype === 'float32' && typeof width === 'number' ? width : undefined;
}
