import { materialiseBundle, openBundle, parseDigest, type ArtifactStore } from '@thalamus/bundle';
import { TextEncoder, Tokenizer, type InferenceRuntime, type InferenceSession } from '@thalamus/inference';
import { inspectGraph } from '@thalamus/onnx-graph';

/** How encoders are opened. */
export interface EncoderOptions {
  readonly cacheFolder: string;
  readonly threads: number;
}

/** An encoder that one router model uses; the last one to release it frees its memory. */
export interface EncoderLease {
  readonly encoder: TextEncoder;
  release(): Promise<void>;
}

interface OpenedEncoder {
  readonly tokenizer: Tokenizer;
  readonly session: InferenceSession;
}

interface Shared {
  users: number;
  readonly opened: Promise<OpenedEncoder>;
}

/** Encoders by digest, opened once: router models that stand on the same one share its memory. */
export class SharedEncoders {
  private readonly shared = new Map<string, Shared>();

  constructor(
    private readonly store: ArtifactStore,
    private readonly runtime: InferenceRuntime,
    private readonly options: EncoderOptions,
  ) {}

  /** Fetches, checks and opens an encoder that is not open yet. @throws BUNDLE_INVALID, GRAPH_INVALID, ARTIFACT_NOT_FOUND */
  async acquire(digest: string, maxTokens: number): Promise<EncoderLease> {
    const shared = this.shared.get(digest) ?? { users: 0, opened: this.open(digest) };
    this.shared.set(digest, shared);
    shared.users += 1;
    try {
      const { tokenizer, session } = await shared.opened;
      const encoder = new TextEncoder(tokenizer, session, maxTokens);
      return { encoder, release: () => this.release(digest, shared) };
    } catch (fault) {
      // One that could not be opened is tried anew by the next who asks.
      if (this.shared.get(digest) === shared) this.shared.delete(digest);
      throw fault;
    }
  }

  private async release(digest: string, shared: Shared): Promise<void> {
    shared.users -= 1;
    if (shared.users > 0) return;
    this.shared.delete(digest);
    const { session } = await shared.opened;
    await session.release();
  }

  private async open(digest: string): Promise<OpenedEncoder> {
    const folder = await materialiseBundle(parseDigest(digest), this.store, this.options.cacheFolder);
    const bundle = await openBundle(folder);
    inspectGraph(await bundle.readFile('model.onnx'));
    const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
    const session = await this.runtime.load(
      { path: bundle.filePath('model.onnx') },
      { threads: this.options.threads },
    );
    return { tokenizer, session };
  }
}
