import { TWIN_VALUES } from '@thalamus/model-merge';
import { argMax, asFloat32, tensor, type Tensor } from '@thalamus/tensor';
import {
  JUDGING_MASKS,
  MaskedLmModel,
  tokenFeeds,
  type GraphRuntime,
  type GraphSession,
  type MaskedRow,
  type MaskVocabulary,
  type Windows,
} from '@thalamus/training';
import { OPEN_TASK } from '../composed-graph.js';

/** What a composed masked language model says of a row with hidden words. */
export interface MaskedAnswer {
  /** float32 [parents]: the router's weights. */
  readonly weights: Float32Array;
  /** float32 [vocabulary] for each hidden place. */
  readonly logits: readonly Float32Array[];
}

/** How it does on windows when its router chooses. */
export interface MaskedScore {
  /** Sum over the hidden word pieces, nats. */
  readonly nats: number;
  readonly pieces: number;
  /** Shares of the masked windows whose largest weight is that of each parent. */
  readonly routed: readonly number[];
}

const LIMITS = { rowsPerBatch: 16, tokensPerBatch: 2_048 };

/** A graph of `buildMaskedTwinGraph` that answers token ids. */
export class ComposedMaskedLm {
  private constructor(private readonly session: GraphSession) {}

  /** Opens a graph. */
  static async open(runtime: GraphRuntime, bytes: Uint8Array, threads: number): Promise<ComposedMaskedLm> {
    return new ComposedMaskedLm(await runtime.load({ bytes }, { threads }));
  }

  /** Losses of windows under the judging masks, which are the same for every model. `onRows` is told how many are done. */
  async judge(
    windows: Windows,
    vocabulary: MaskVocabulary,
    onRows?: (done: number) => void,
  ): Promise<MaskedScore> {
    const counts: number[] = [];
    const model = MaskedLmModel.of({
      run: async (feeds) => {
        const rows = feeds[TWIN_VALUES.inputIds]?.shape[0] ?? 0;
        const outputs = await this.run(feeds, new Array<number>(rows).fill(OPEN_TASK));
        for (const weights of rowsOf(outputs[TWIN_VALUES.routerWeights], TWIN_VALUES.routerWeights)) {
          weights.forEach((_, parent) => (counts[parent] ??= 0));
          counts[argMax(weights)]! += 1;
        }
        return outputs;
      },
      release: () => Promise.resolve(),
    });
    const losses = await model.rowLosses(
      windows,
      { vocabulary, ...JUDGING_MASKS },
      new Map(),
      LIMITS,
      onRows,
    );
    const total = counts.reduce((sum, count) => sum + count, 0);
    return {
      nats: losses.reduce((sum, { nats }) => sum + nats, 0),
      pieces: losses.reduce((sum, { pieces }) => sum + pieces, 0),
      routed: counts.map((count) => count / total),
    };
  }

  /** Answers of rows in one batch. `tasks` names the parent of each row by its index, or leaves it open with `OPEN_TASK`. */
  async answer(rows: readonly MaskedRow[], tasks: readonly number[]): Promise<MaskedAnswer[]> {
    const ids = rows.map((row) => row.ids);
    const longest = Math.max(...ids.map(({ length }) => length));
    const positions = rows.flatMap((row, at) =>
      row.positions.map((position) => BigInt(at * longest + position)),
    );
    const outputs = await this.run(
      {
        ...tokenFeeds(ids, [...ids.keys()]),
        [TWIN_VALUES.positions]: tensor('int64', [positions.length], BigInt64Array.from(positions)),
      },
      tasks,
    );
    const weights = rowsOf(outputs[TWIN_VALUES.routerWeights], TWIN_VALUES.routerWeights);
    const places = rowsOf(outputs[TWIN_VALUES.logits], TWIN_VALUES.logits);
    let next = 0;
    return rows.map((row, at) => ({
      weights: weights[at]!,
      logits: places.slice(next, (next += row.positions.length)),
    }));
  }

  release(): Promise<void> {
    return this.session.release();
  }

  private run(
    feeds: Readonly<Record<string, Tensor>>,
    tasks: readonly number[],
  ): Promise<Readonly<Record<string, Tensor>>> {
    const task = tensor('int64', [tasks.length], BigInt64Array.from(tasks, BigInt));
    return this.session.run(
      { ...feeds, [TWIN_VALUES.task]: task },
      { outputs: [TWIN_VALUES.logits, TWIN_VALUES.routerWeights] },
    );
  }
}

/** Rows of a float32 matrix. */
function rowsOf(value: Tensor | undefined, name: string): Float32Array[] {
  const { data, shape } = asFloat32(value, name);
  const [rows = 0, width = 0] = shape;
  return Array.from({ length: rows }, (_, row) => data.slice(row * width, (row + 1) * width));
}
