import { digestHex, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  padTokens,
  type Feeds,
  type InferenceRuntime,
  type InferenceSession,
  type TokenRow,
} from '@thalamus/inference';
import {
  addGatheredBranches,
  BRANCH_INPUTS,
  decodeModel,
  encodeModel,
  type GatheredBranch,
} from '@thalamus/onnx-graph';
import { asFloat32, tensor } from '@thalamus/tensor';
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MODEL_FILE } from './inspect-bundle.js';
import type { RowStack } from './row-stack.js';

/** Adapter rows of a batch, all of one stack. */
export interface AdapterRows {
  readonly stack: RowStack;
  /** One for each text; 0 for a text without an adapter. */
  readonly rows: Int32Array;
}

/** How a base is opened. */
export interface BaseSessionOptions {
  readonly threads: number;
  /** Folder for graphs that are derived from bundles. */
  readonly derivedFolder: string;
}

interface Derived {
  readonly path: string;
  readonly branches: readonly GatheredBranch[];
}

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
export class BaseSession {
  private deriving: Promise<Derived> | undefined;
  private branching: Promise<void> | undefined;

  private constructor(
    private readonly bundle: OpenedBundle<ExpertManifest>,
    private readonly runtime: InferenceRuntime,
    private readonly options: BaseSessionOptions,
    private current: Current,
  ) {}

  /** Opens and warms the shipped graph, which has been inspected. @throws GRAPH_INVALID */
  static async open(
    bundle: OpenedBundle<ExpertManifest>,
    runtime: InferenceRuntime,
    options: BaseSessionOptions,
    warmUp: TokenRow,
  ): Promise<BaseSession> {
    const { threads } = options;
    const session = await runtime.load({ path: bundle.filePath(MODEL_FILE) }, { threads });
    const base = new BaseSession(bundle, runtime, options, current(session, []));
    try {
      await base.encode([warmUp]);
    } catch (fault) {
      await session.release();
      throw fault;
    }
    return base;
  }

  /** Layers that a branch can stand beside. @throws GRAPH_INVALID for a base that is no encoder of linear layers */
  async layers(): Promise<readonly GatheredBranch[]> {
    return (await this.derived()).branches;
  }

  /** Makes sure that the session has branches; many callers load it once. The session before it ends with its last run. */
  branch(): Promise<void> {
    this.branching ??= this.exchange();
    this.branching.catch(() => (this.branching = undefined));
    return this.branching;
  }

  /**
   * Embeddings float32 [width] of texts in one padded batch. `idle` is the stack that a run without adapters is given, once
   * the session has branches.
   */
  async encode(
    rows: readonly TokenRow[],
    adapters?: AdapterRows,
    idle?: () => Promise<RowStack>,
  ): Promise<Float32Array[]> {
    const { inputIds, attentionMask } = padTokens(rows);
    const feeds = { input_ids: inputIds, attention_mask: attentionMask };
    const used = this.current;
    used.users += 1;
    try {
      const { embedding } = await this.run(used, feeds, adapters, idle);
      const { data, shape } = asFloat32(embedding, 'embedding');
      const width = shape[1] ?? 0;
      return rows.map((_, index) => data.slice(index * width, (index + 1) * width));
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
    feeds: Feeds,
    adapters: AdapterRows | undefined,
    idle: (() => Promise<RowStack>) | undefined,
  ) {
    const outputs = ['embedding'];
    if (branches.length === 0) return session.run(feeds, { outputs });
    const stack = adapters?.stack ?? (await idle?.());
    const tables = stack ? [stack.table] : [];
    return session.run({ ...feeds, ...branchFeeds(adapters) }, { outputs, tables });
  }

  /** Writes the graph with branches beside the bundle, whose digest has been checked. */
  private async derive(): Promise<Derived> {
    const { model, branches } = addGatheredBranches(decodeModel(await this.bundle.readFile(MODEL_FILE)));
    const { derivedFolder } = this.options;
    const path = join(derivedFolder, `branches-${digestHex(this.bundle.digest)}.onnx`);
    const writing = `${path}.${randomUUID()}`;
    try {
      await mkdir(derivedFolder, { recursive: true });
      await writeFile(writing, encodeModel(model));
      await rename(writing, path);
    } catch (cause) {
      await rm(writing, { force: true });
      throw new ThalamusError('ARTIFACT_STORE_FULL', `${path} could not be written; make space for it.`, {
        cause,
      });
    }
    return { path, branches };
  }

  private async exchange(): Promise<void> {
    const { path, branches } = await this.derived();
    const session = await this.runtime.load({ path }, { threads: this.options.threads });
    const old = this.current;
    this.current = current(session, branches);
    old.retired = true;
    releaseUnused(old);
  }

  private derived(): Promise<Derived> {
    this.deriving ??= this.derive();
    this.deriving.catch(() => (this.deriving = undefined));
    return this.deriving;
  }
}

function current(session: InferenceSession, branches: readonly GatheredBranch[]): Current {
  return { session, branches, users: 0, retired: false };
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
