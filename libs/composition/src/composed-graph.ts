import { parentProbabilities, TWIN_VALUES, type MergedGraph } from '@thalamus/model-merge';
import { ThalamusError } from '@thalamus/errors';
import { encodeModel } from '@thalamus/onnx-graph';
import { asFloat32, tensor } from '@thalamus/tensor';
import { evaluationBatches, tokenFeeds, type GraphRuntime, type GraphSession } from '@thalamus/training';

/** What a composed graph says of a text. */
export interface ComposedAnswer {
  /** float32 [parents]: the router's weights. */
  readonly weights: Float32Array;
  /** Index of the parent whose head answered. */
  readonly parent: number;
  /** float32 [labels] over the union; about -1e9 for labels that this parent does not have. */
  readonly logits: Float32Array;
  /** Index of the label in the union. */
  readonly label: number;
  /** Own probabilities of each parent, where they were asked for. */
  readonly own: readonly Float32Array[];
  /** Whether no parent covers the text. */
  readonly abstains: boolean;
}

const LIMITS = { rowsPerBatch: 32, tokensPerBatch: 2_048 };
/** Leaves the parent to the router. */
export const OPEN_TASK = -1;

/** A composed graph that answers token ids. */
export class ComposedGraph {
  private constructor(
    private readonly session: GraphSession,
    private readonly parents: readonly string[],
  ) {}

  /** Opens a graph, which may come as a model or as bytes. Answers hold the own probabilities of the parents that are named. */
  static async open(
    runtime: GraphRuntime,
    graph: MergedGraph['model'] | Uint8Array,
    threads: number,
    parents: readonly string[] = [],
  ): Promise<ComposedGraph> {
    const bytes = graph instanceof Uint8Array ? graph : encodeModel(graph);
    return new ComposedGraph(await runtime.load({ bytes }, { threads }), parents);
  }

  /**
   * Answers in the order of the texts. `tasks` names the parent that is to answer each text, or leaves it open.
   * `onRows` is told how many are done; what it throws ends the work.
   */
  async answer(
    ids: readonly (readonly number[])[],
    tasks?: readonly number[],
    onRows?: (done: number) => void,
  ): Promise<ComposedAnswer[]> {
    const result = new Array<ComposedAnswer>(ids.length);
    let done = 0;
    for (const rows of evaluationBatches(
      ids.map(({ length }) => length),
      LIMITS,
    )) {
      const given = BigInt64Array.from(rows, (row) => BigInt(tasks?.[row] ?? OPEN_TASK));
      const outputs = await this.session.run({
        ...tokenFeeds(ids, rows),
        [TWIN_VALUES.task]: tensor('int64', [rows.length], given),
      });
      const weights = asFloat32(outputs[TWIN_VALUES.routerWeights], TWIN_VALUES.routerWeights);
      const logits = asFloat32(outputs[TWIN_VALUES.logits], TWIN_VALUES.logits);
      const [parents, labels] = [outputs[TWIN_VALUES.parent], outputs[TWIN_VALUES.label]];
      const abstain = outputs[TWIN_VALUES.abstain];
      if (parents?.dtype !== 'int64' || labels?.dtype !== 'int64')
        throw new ThalamusError('GRAPH_INVALID', 'The composed graph lacks its outputs parent and label.');
      const own = this.parents.map((name) => asFloat32(outputs[parentProbabilities(name)], name).data);
      const [count, width] = [weights.data.length / rows.length, logits.data.length / rows.length];
      rows.forEach((row, at) => {
        result[row] = {
          weights: weights.data.slice(at * count, (at + 1) * count),
          parent: Number(parents.data[at]),
          logits: logits.data.slice(at * width, (at + 1) * width),
          label: Number(labels.data[at]),
          own: own.map((data) =>
            data.slice((at * data.length) / rows.length, ((at + 1) * data.length) / rows.length),
          ),
          abstains: abstain?.dtype === 'bool' && abstain.data[at] === 1,
        };
      });
      done += rows.length;
      onRows?.(done);
    }
    return result;
  }

  release(): Promise<void> {
    return this.session.release();
  }
}
