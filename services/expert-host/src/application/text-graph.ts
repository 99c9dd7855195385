import { TOKEN_INPUTS, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  padTokens,
  Tokenizer,
  type BatchOutcome,
  type Feeds,
  type InferenceRuntime,
  type InferenceSession,
  type SubmitOptions,
  type TokenRow,
} from '@thalamus/inference';
import type { GraphSummary } from '@thalamus/onnx-graph';
import { tensor, type Tensor } from '@thalamus/tensor';
import { MODEL_FILE } from './inspect-bundle.js';
import type { TextFacts } from './served-expert.js';
import { TextQueue, type BatchSettings, type Metered, type QueuedText } from './text-queue.js';

/** A bundle with a graph of its own that reads texts. */
export interface TextBundle {
  readonly bundle: OpenedBundle<ExpertManifest>;
  readonly summary: GraphSummary;
}

/** What is asked of the graph, and what is read from its answer. */
export interface TextGraphUse<W, A> {
  readonly outputs: readonly string[];
  /** Inputs besides those of tokens. */
  readonly inputs?: readonly string[];
  /** Their values; `length` is that of the padded texts. */
  readonly feeds?: (wishes: readonly W[], length: number) => Feeds;
  /** One answer for each text. */
  readonly read: (results: Readonly<Record<string, Tensor>>, items: readonly QueuedText<W>[]) => readonly A[];
}

const { ids: IDS, mask: MASK, types: TYPES } = TOKEN_INPUTS;

/** A graph of an expert's own that takes token ids, with its tokenizer and queue. */
export class TextGraph<W extends Metered, A> {
  private readonly queue: TextQueue<W, A & TextFacts>;

  private constructor(
    readonly tokenizer: Tokenizer,
    private readonly names: ReadonlySet<string>,
    private readonly session: InferenceSession,
    private readonly use: TextGraphUse<W, A>,
    settings: BatchSettings & { readonly maxTokens: number },
  ) {
    this.queue = new TextQueue({
      ...settings,
      lanes: session,
      tokenise: (texts) => tokenizer.encode(texts, settings.maxTokens),
      run: (items) => this.run(items),
    });
  }

  /**
   * Opens a graph that has been inspected, and runs it once on a text.
   * @throws GRAPH_INVALID for inputs that a text has no values for, BUNDLE_INVALID for its tokenizer
   */
  static async open<W extends Metered, A>(
    { bundle, summary }: TextBundle,
    use: TextGraphUse<W, A>,
    warmUp: { readonly text: string; readonly wishOf: (tokens: TokenRow) => W },
    runtime: InferenceRuntime,
    settings: BatchSettings,
  ): Promise<TextGraph<W, A>> {
    const { name, maxTokens } = bundle.manifest;
    checkInputs(name, summary, use.inputs ?? []);
    const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
    const session = await runtime.load({ path: bundle.filePath(MODEL_FILE) });
    const names = new Set(summary.inputs.map((input) => input.name));
    const graph = new TextGraph(tokenizer, names, session, use, { ...settings, maxTokens });
    try {
      const [tokens] = await tokenizer.encode([warmUp.text], maxTokens);
      if (tokens) await graph.run([{ tokens, wish: warmUp.wishOf(tokens), enteredAt: 0 }]);
    } catch (fault) {
      await session.release();
      throw fault;
    }
    return graph;
  }

  /** Runs texts, in batches with whatever else waits. `wishOf` may refuse a text. */
  submit(
    texts: readonly string[],
    wishOf: (index: number, tokens: TokenRow) => W,
    options: SubmitOptions,
  ): Promise<(A & TextFacts)[]> {
    return this.queue.submit(texts, wishOf, options);
  }

  release(): Promise<void> {
    return this.session.release();
  }

  private async run(items: readonly QueuedText<W>[]): Promise<BatchOutcome<A & TextFacts>[]> {
    const { inputIds, attentionMask } = padTokens(items.map(({ tokens }) => tokens));
    const [, length = 0] = inputIds.shape;
    const types = () => tensor('int64', inputIds.shape, new BigInt64Array(inputIds.data.length));
    const feeds = {
      [IDS]: inputIds,
      ...(this.names.has(MASK) ? { [MASK]: attentionMask } : {}),
      ...(this.names.has(TYPES) ? { [TYPES]: types() } : {}),
      ...this.use.feeds?.(
        items.map(({ wish }) => wish),
        length,
      ),
    };
    const results = await this.session.run(feeds, { outputs: this.use.outputs });
    const answers = this.use.read(results, items);
    return answers.map((answer, index) => {
      const tokens = items[index]?.tokens;
      const tokenCount = tokens?.ids.length ?? 0;
      const truncated = tokens?.truncated ?? false;
      return { ...answer, tokenCount, truncated, batchSize: items.length };
    });
  }
}

function checkInputs(name: string, { inputs }: GraphSummary, more: readonly string[]): void {
  const invalid = (reason: string) =>
    new ThalamusError(
      'GRAPH_INVALID',
      `${name} has a tokenizer, but its graph ${reason}. Export it again, or without tokenizer.json to serve its tensors as they are.`,
    );
  if (!inputs.some((input) => input.name === IDS)) throw invalid(`has no input ${IDS}`);
  const known = [IDS, MASK, TYPES, ...more];
  for (const input of inputs) {
    if (!known.includes(input.name))
      throw invalid(`needs the input ${input.name}, which texts have no values for`);
    if (input.dtype !== 'int64')
      throw invalid(`takes ${input.name} as ${input.dtype ?? 'no tensor'}, not int64`);
  }
}
