import { requireFloat32, readSafetensors, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { METRICS } from '@thalamus/contracts';
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
import { countHistogram, durationHistogram } from '@thalamus/telemetry';
import { ProbeHeads } from './probe-heads.js';

/** How batches are made. */
export interface BatchSettings {
  readonly maxBatch: number;
  readonly batchDelayMs: number;
  readonly maxQueue: number;
  readonly threads: number;
}

/** What a text is to be run through: a probe head, or nothing but the base. */
interface Item {
  readonly text: string;
  readonly head: string | undefined;
}

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

/** One base encoder that is loaded once, with its queue and the heads that stand on it. */
export class ResidentBase {
  readonly heads: ProbeHeads;
  private readonly batcher: DynamicBatcher<Item, BaseAnswer>;
  private users = 0;

  private constructor(
    readonly manifest: ExpertManifest,
    readonly width: number,
    readonly memoryBytes: number,
    private readonly session: InferenceSession,
    private readonly encoder: TextEncoder,
    runtime: InferenceRuntime,
    settings: BatchSettings,
  ) {
    this.heads = new ProbeHeads(runtime, width);
    const sizes = countHistogram(METRICS.batchSize, 'Texts in a batch.', [1, 2, 4, 8, 16, 32, 64]);
    const waits = durationHistogram(METRICS.queueDuration, 'How long a text waited for its batch.');
    this.batcher = new DynamicBatcher({
      maxBatch: settings.maxBatch,
      maxDelayMs: settings.batchDelayMs,
      maxQueue: settings.maxQueue,
      run: (items) => this.run(items),
      onBatch: (size, waitsMs) => {
        sizes.record(size);
        for (const wait of waitsMs) waits.record(wait / 1000);
      },
    });
  }

  /** Opens a checked bundle after a structural look at its graph. @throws GRAPH_INVALID, BUNDLE_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    runtime: InferenceRuntime,
    settings: BatchSettings,
  ): Promise<ResidentBase> {
    const { manifest } = bundle;
    const summary = inspectGraph(await bundle.readFile('model.onnx'));
    const output = summary.outputs.find(({ name }) => name === 'embedding');
    const width = output?.shape.at(-1);
    if (output?.dtype !== 'float32' || typeof width !== 'number') {
      throw new ThalamusError(
        'GRAPH_INVALID',
        `${manifest.name} has no float32 output "embedding" of a fixed width, which a feature-extraction expert needs.`,
      );
    }
    const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
    const session = await runtime.load(
      { path: bundle.filePath('model.onnx') },
      { threads: settings.threads },
    );
    const encoder = new TextEncoder(tokenizer, session, manifest.maxTokens);
    await encoder.encode(['warm-up']);
    return new ResidentBase(manifest, width, bundle.sizeBytes, session, encoder, runtime, settings);
  }

  /** Runs one text, in a batch with whatever else waits. */
  submit(text: string, head: string | undefined, options: SubmitOptions): Promise<BaseAnswer> {
    return this.batcher.submit({ text, head }, options);
  }

  /** Reads a head from a bundle that stands on this base. */
  async readHead(bundle: OpenedBundle<ExpertManifest>) {
    const labels = bundle.manifest.labels?.length ?? 0;
    const file = readSafetensors(await bundle.readFile('head.safetensors'));
    return {
      weights: requireFloat32(file, 'head.weight', [labels, this.width]),
      bias: requireFloat32(file, 'head.bias', [labels]),
    };
  }

  retain(): void {
    this.users += 1;
  }

  /** Frees the base when nobody stands on it any more; true when it was freed. */
  async letGo(): Promise<boolean> {
    this.users -= 1;
    if (this.users > 0) return false;
    await this.heads.release();
    await this.session.release();
    return true;
  }

  private async run(items: readonly Item[]): Promise<BaseAnswer[]> {
    const encoded = await this.encoder.encode(items.map(({ text }) => text));
    const { embeddings, width } = encoded;
    const withHead = items.flatMap(({ head }, index) => (head === undefined ? [] : [{ index, head }]));
    const logits = new Map<number, Float32Array>();
    if (withHead.length > 0) {
      const rows = new Float32Array(withHead.length * width);
      withHead.forEach(({ index }, at) => {
        rows.set(embeddings.subarray(index * width, (index + 1) * width), at * width);
      });
      const results = await this.heads.logits(
        rows,
        withHead.map(({ head }) => head),
      );
      withHead.forEach(({ index }, at) => logits.set(index, results[at] as Float32Array));
    }
    return items.map((_, index) => ({
      embedding: embeddings.slice(index * width, (index + 1) * width),
      logits: logits.get(index),
      tokenCount: encoded.tokenCounts[index] ?? 0,
      truncated: encoded.truncated[index] ?? false,
      batchSize: items.length,
    }));
  }
}
