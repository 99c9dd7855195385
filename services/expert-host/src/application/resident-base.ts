import { readClassifierHead, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  TextEncoder,
  Tokenizer,
  type BatchOutcome,
  type InferenceRuntime,
  type InferenceSession,
  type SubmitOptions,
} from '@thalamus/inference';
import { inspectBundleGraph, MODEL_FILE } from './inspect-bundle.js';
import { ProbeHeads, type ProbeHead } from './probe-heads.js';
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

/** Id of the head that a text is to be run through; undefined for nothing but the base. */
type HeadWish = string | undefined;

interface OpenedBase {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly width: number;
  readonly session: InferenceSession;
  readonly encoder: TextEncoder;
}

/** One base encoder that is loaded once, with its queue and the heads that stand on it. */
export class ResidentBase {
  readonly heads: ProbeHeads;
  readonly manifest: ExpertManifest;
  /** Width of the embedding. */
  readonly width: number;
  readonly memoryBytes: number;
  private readonly queue: TextQueue<HeadWish, BaseAnswer>;
  private users = 0;

  private constructor(
    private readonly opened: OpenedBase,
    runtime: InferenceRuntime,
    settings: BatchSettings,
  ) {
    this.manifest = opened.bundle.manifest;
    this.width = opened.width;
    this.memoryBytes = opened.bundle.sizeBytes;
    this.heads = new ProbeHeads(runtime, opened.width);
    this.queue = new TextQueue({
      ...settings,
      tokenise: (texts) => opened.encoder.tokenise(texts),
      run: (items) => this.run(items),
    });
  }

  /** Opens a checked bundle after a structural look at its graph. @throws GRAPH_INVALID, BUNDLE_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    runtime: InferenceRuntime,
    settings: BatchSettings,
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
    const session = await runtime.load({ path: bundle.filePath(MODEL_FILE) }, { threads: settings.threads });
    const encoder = new TextEncoder(tokenizer, session, manifest.maxTokens);
    try {
      await encoder.encode(['warm-up']);
    } catch (fault) {
      await session.release();
      throw fault;
    }
    return new ResidentBase({ bundle, width, session, encoder }, runtime, settings);
  }

  /** Runs texts, in batches with whatever else waits. */
  submit(texts: readonly string[], head: HeadWish, options: SubmitOptions): Promise<BaseAnswer[]> {
    return this.queue.submit(texts, () => head, options);
  }

  /** Reads a head from a bundle that stands on this base. @throws BUNDLE_INVALID */
  readHead(bundle: OpenedBundle<ExpertManifest>): Promise<ProbeHead> {
    return readClassifierHead(bundle, this.width);
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
    await this.opened.session.release();
  }

  private async run(items: readonly QueuedText<HeadWish>[]): Promise<BatchOutcome<BaseAnswer>[]> {
    const encoded = await this.opened.encoder.encodeTokens(items.map(({ tokens }) => tokens));
    const { width } = this;
    const embeddings = items.map((_, index) => encoded.embeddings.slice(index * width, (index + 1) * width));
    const logits = await this.heads.logits(
      items.flatMap(({ wish }, index) =>
        wish === undefined ? [] : [{ head: wish, embedding: embeddings[index] as Float32Array }],
      ),
    );
    let next = 0;
    return items.map(({ wish, tokens }, index) => {
      const outcome = wish === undefined ? undefined : logits[next++];
      if (ThalamusError.is(outcome)) return outcome;
      return {
        embedding: embeddings[index] as Float32Array,
        logits: outcome,
        tokenCount: tokens.ids.length,
        truncated: tokens.truncated,
        batchSize: items.length,
      };
    });
  }
}
