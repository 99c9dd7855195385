import { checkLowRankFits, type LowRankAdapter } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { Feeds, InferenceRuntime } from '@thalamus/inference';
import { BRANCH_INPUTS, branchRow, type GatheredBranch } from '@thalamus/onnx-graph';
import type { BaseSession } from './base-session.js';
import { SizedStacks, type Place, type RowStack } from './row-stack.js';

/** Ranks that factors are padded to. What is wider than the first stands in a table, and runs in a batch, of its own. */
export const RANK_SIZES = [16, 64];
const [SMALLEST = 16] = RANK_SIZES;
const LARGEST = RANK_SIZES.at(-1) ?? SMALLEST;

/** The low-rank adapters of all experts on one base: factors padded, stacked as float16, gathered by a row for each text. */
export class LowRankAdapters {
  private readonly places = new Map<string, Place>();
  private stacks: SizedStacks | undefined;

  constructor(
    private readonly runtime: InferenceRuntime,
    private readonly session: BaseSession,
  ) {}

  /**
   * Adds an adapter. `read` gives it now, and again after a crash. Resolves with the bytes that its row takes.
   * @throws METHOD_UNSUPPORTED for a rank that is too large, BUNDLE_INVALID for layers that the base has not
   */
  async add(
    id: string,
    name: string,
    adapter: LowRankAdapter,
    read: () => Promise<LowRankAdapter>,
  ): Promise<number> {
    const size = sizeFor(adapter);
    if (size === undefined)
      throw new ThalamusError(
        'METHOD_UNSUPPORTED',
        `${name} has the rank ${adapter.rank}; a host serves ranks up to ${RANK_SIZES.at(-1)}. Train it with a smaller one.`,
      );
    const branches = await this.session.layers();
    const shapes = branches.map(
      ({ layer, inputs, outputs }) => [`${layer}.weight`, { shape: [outputs, inputs] }] as const,
    );
    checkLowRankFits(name, adapter, new Map(shapes));
    await this.session.branch();
    const stack = await this.stack(size);
    const row = await stack.add(rowReader(adapter, read, branches, size));
    this.places.set(id, { size, row });
    return rowBytes(branches, size);
  }

  /** Bytes that the row of an adapter takes; those of the largest row for a rank that `add` refuses. */
  async bytesFor(adapter: LowRankAdapter): Promise<number> {
    return rowBytes(await this.session.layers(), sizeFor(adapter) ?? LARGEST);
  }

  async remove(id: string): Promise<void> {
    const place = this.places.get(id);
    if (!place) return;
    this.places.delete(id);
    (await this.stacks?.of(place.size))?.remove(place.row);
  }

  place(id: string): Place | undefined {
    return this.places.get(id);
  }

  /** The stack of a size; the smallest also serves runs without adapters. */
  async stack(size = SMALLEST): Promise<RowStack> {
    return this.stacksOf(await this.session.layers()).of(size);
  }

  async release(): Promise<void> {
    this.places.clear();
    await this.stacks?.release();
  }

  private stacksOf(branches: readonly GatheredBranch[]): SizedStacks {
    this.stacks ??= new SizedStacks(this.runtime, RANK_SIZES, (size) => ({
      [BRANCH_INPUTS.scale]: { dtype: 'float32', shape: [1, 1] },
      ...Object.fromEntries(
        branches.flatMap(({ down, up, inputs, outputs }) => [
          [down, { dtype: 'float16', shape: [inputs, size] }],
          [up, { dtype: 'float16', shape: [size, outputs] }],
        ]),
      ),
    }));
    return this.stacks;
  }
}

function sizeFor({ rank }: LowRankAdapter): number | undefined {
  return RANK_SIZES.find((candidate) => candidate >= rank);
}

/** Factors of every layer as float16, padded to a rank. */
function rowBytes(branches: readonly GatheredBranch[], size: number): number {
  return branches.reduce((sum, { inputs, outputs }) => sum + 2 * size * (inputs + outputs), 0);
}

/**
 * Rows of an adapter: of what has been read already, the first time; read again after a crash. Made apart from `add`, since a
 * closure holds what any other of its function uses: the adapter would stay in memory for as long as its row can be read again.
 */
function rowReader(
  first: LowRankAdapter,
  read: () => Promise<LowRankAdapter>,
  branches: readonly GatheredBranch[],
  size: number,
): () => Promise<Feeds> {
  let known: LowRankAdapter | undefined = first;
  return async () => {
    const given = known ?? (await read());
    known = undefined;
    return branchRow(given, branches, size);
  };
}
