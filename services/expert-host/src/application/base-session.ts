import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import {
  padTokens,
  type Feeds,
  type InferenceRuntime,
  type InferenceSession,
  type RunLanes,
  type TokenRow,
} from '@thalamus/inference';
import { BRANCH_INPUTS, type GatheredBranch } from '@thalamus/onnx-graph';
import { asFloat32, tensor, type TensorOf } from '@thalamus/tensor';
import type { DerivedGraphs } from './derived-graphs.js';
import { MODEL_FILE } from './inspect-bundle.js';
import type { RowStack } from './row-stack.js';

/** Adapter rows of a batch, all of one stack. */
export interface AdapterRows {
  readonly stack: RowStack;
  /** One for each text; 0 for a text without an adapter. */
  readonly rows: Int32Array;
}

/** What a run gave for one text. */
export interface EncodedText {
  /** float32 [width] */
  readonly embedding: Float32Array;
  /** Last hidden state float32 [width] of each position that was asked for. */
  readonly states: readonly Float32Array[];
}

/** A text on its way into the base. */
export interface TextToEncode {
  readonly tokens: TokenRow;
  /** Tokens whose last hidden state is wanted. */
  readonly positions: readonly number[];
}

const EMBEDDING = 'embedding';
/** Output float32 [batch, sequence, width] of a base that gives more than embeddings. */
const STATES = 'last_hidden_state';

interface Current {
  readonly session: InferenceSession;
  /** Layers with a branch; none for the graph as it was shipped. */
  readonly branches: readonly GatheredBranch[];
  users: number;
  retired: boolean;
}

/**
 * The one session of a base. It begins as the shipped graph; the first low-rank expert exchanges it for the same graph with
 * branches, which serves embeddings and probes as well, so that the weights of a base are in memory once.
 */
export class BaseSession implements RunLanes {
  private branching: Promise<void> | undefined;

  private constructor(
    private readonly graphs: DerivedGraphs,
    private readonly runtime: InferenceRuntime,
    private current: Current,
  ) {}

  /** Opens and warms the shipped graph, which has been inspected. @throws GRAPH_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    graphs: DerivedGraphs,
    runtime: InferenceRuntime,
    warmUp: TokenRow,
  ): Promise<BaseSession> {
    const session = await runtime.load({ path: bundle.filePath(MODEL_FILE) });
    const base = new BaseSession(graphs, runtime, current(session, []));
    try {
      await base.encode([{ tokens: warmUp, positions: [] }]);
    } catch (fault) {
      await session.release();
      throw fault;
    }
    return base;
  }

  get lanes(): number {
    return this.current.session.lanes;
  }

  press(): void {
    this.current.session.press();
  }

  /** Layers that a branch can stand beside. @throws GRAPH_INVALID for a base that is no encoder of linear layers */
  async layers(): Promise<readonly GatheredBranch[]> {
    return (await this.graphs.branched()).branches;
  }

  /** Makes sure that the session has branches; many callers load it once. The session before it ends with its last run. */
  branch(): Promise<void> {
    this.branching ??= this.exchange();
    this.branching.catch(() => (this.branching = undefined));
    return this.branching;
  }

  /**
   * Encodes texts in one padded batch. Hidden states leave the runtime only when positions are asked for. `idle` is the stack
   * that a run without adapters is given, once the session has branches.
   */
  async encode(
    texts: readonly TextToEncode[],
    adapters?: AdapterRows,
    idle?: () => Promise<RowStack>,
  ): Promise<EncodedText[]> {
    const { inputIds, attentionMask } = padTokens(texts.map(({ tokens }) => tokens));
    const feeds = { input_ids: inputIds, attention_mask: attentionMask };
    const outputs = texts.some(({ positions }) => positions.length > 0) ? [EMBEDDING, STATES] : [EMBEDDING];
    const used = this.current;
    used.users += 1;
    try {
      const results = await this.run(used, { feeds, outputs }, adapters, idle);
      const { data, shape } = asFloat32(results[EMBEDDING], EMBEDDING);
      const width = shape[1] ?? 0;
      const states = outputs.includes(STATES) ? asFloat32(results[STATES], STATES) : undefined;
      return texts.map(({ positions }, index) => ({
        embedding: data.slice(index * width, (index + 1) * width),
        states: positions.map((position) => stateAt(states, index, position)),
      }));
    } finally {
      used.users -= 1;
      releaseUnused(used);
    }
  }

  async release(): Promise<void> {
    await this.branching?.catch(() => undefined);
    await this.current.session.release();
  }

  private async run(
    { session, branches }: Current,
    { feeds, outputs }: { readonly feeds: Feeds; readonly outputs: readonly string[] },
    adapters: AdapterRows | undefined,
    idle: (() => Promise<RowStack>) | undefined,
  ) {
    if (branches.length === 0) return session.run(feeds, { outputs });
    const stack = adapters?.stack ?? (await idle?.());
    const tables = stack ? [stack.table] : [];
    return session.run({ ...feeds, ...branchFeeds(adapters) }, { outputs, tables });
  }

  private async exchange(): Promise<void> {
    const { path, branches } = await this.graphs.branched();
    const session = await this.runtime.load({ path });
    const old = this.current;
    this.current = current(session, branches);
    old.retired = true;
    releaseUnused(old);
  }
}

function current(session: InferenceSession, branches: readonly GatheredBranch[]): Current {
  return { session, branches, users: 0, retired: false };
}

function stateAt(states: TensorOf<'float32'> | undefined, row: number, position: number): Float32Array {
  const [, length = 0, width = 0] = states?.shape ?? [];
  const from = (row * length + position) * width;
  return states?.data.slice(from, from + width) ?? new Float32Array();
}

function releaseUnused(used: Current): void {
  // A session whose process has ended is released already.
  if (used.retired && used.users === 0) void used.session.release().catch(() => undefined);
}

/** One row for all when all texts have the same: its factors are then gathered once. */
function branchFeeds(adapters: AdapterRows | undefined) {
  const rows = adapters?.rows ?? Int32Array.of(0);
  const given = rows.every((row) => row === rows[0]) ? rows.slice(0, 1) : rows;
  const enabled = Uint8Array.of(adapters ? 1 : 0);
  return {
    [BRANCH_INPUTS.enabled]: tensor('bool', [], enabled),
    [BRANCH_INPUTS.row]: tensor('int32', [given.length], given),
  };
}
