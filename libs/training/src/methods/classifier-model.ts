import { encodeModel, type OnnxModel } from '@thalamus/onnx-graph';
import { asFloat32, logSumExp, tensor, type Tensor } from '@thalamus/tensor';
import { classificationMetrics, type ClassificationMetrics } from '../classification-metrics.js';
import { evaluationBatches } from '../data/token-batches.js';
import { TRAINING_VALUES } from '../graphs/encoder-graph.js';
import { withInputs } from '../graphs/with-inputs.js';
import type { Parameters } from '../loop/adamw.js';
import type { GraphRuntime, GraphSession } from '../training-base.port.js';

/** Rows of token ids with the class of each. */
export interface ClassifiedTokens {
  readonly ids: readonly (readonly number[])[];
  readonly classes: Int32Array;
}

/** Limits of a batch. */
export interface BatchLimits {
  readonly rowsPerBatch: number;
  readonly tokensPerBatch: number;
}

/** Padded ids and mask of chosen rows, as the graphs take them. */
export function tokenFeeds(
  ids: readonly (readonly number[])[],
  rows: readonly number[],
): Record<string, Tensor> {
  const longest = Math.max(...rows.map((row) => ids[row]!.length));
  const inputIds = new BigInt64Array(rows.length * longest);
  const mask = new BigInt64Array(rows.length * longest);
  rows.forEach((row, at) => {
    ids[row]!.forEach((id, position) => {
      inputIds[at * longest + position] = BigInt(id);
      mask[at * longest + position] = 1n;
    });
  });
  const shape = [rows.length, longest];
  return {
    [TRAINING_VALUES.inputIds]: tensor('int64', shape, inputIds),
    [TRAINING_VALUES.attentionMask]: tensor('int64', shape, mask),
  };
}

/** Parameters as tensors by name; memory is shared. */
export function parameterFeeds(parameters: Parameters): Record<string, Tensor> {
  return Object.fromEntries(
    [...parameters].map(([name, { shape, data }]) => [name, tensor('float32', shape, data)]),
  );
}

/** A classifier's graph that is run with given parameters. */
export class ClassifierModel {
  private constructor(private readonly session: GraphSession) {}

  /** Opens a graph with the output `logits`; `parameters` are its constants that become inputs. */
  static async open(
    runtime: GraphRuntime,
    model: OnnxModel,
    parameters: ReadonlySet<string>,
    threads: number,
  ): Promise<ClassifierModel> {
    return new ClassifierModel(
      await runtime.load({ bytes: encodeModel(withInputs(model, parameters)) }, { threads }),
    );
  }

  /** The same for a graph that is open. */
  static of(session: GraphSession): ClassifierModel {
    return new ClassifierModel(session);
  }

  /** Log-probabilities [rows, classes], in the order of the rows. */
  async logProbabilities(
    ids: readonly (readonly number[])[],
    parameters: Parameters,
    limits: BatchLimits,
    onRows?: (done: number) => void,
  ): Promise<Float64Array> {
    const given = parameterFeeds(parameters);
    const lengths = ids.map(({ length }) => length);
    let result = new Float64Array();
    let done = 0;
    for (const rows of evaluationBatches(lengths, limits)) {
      const outputs = await this.session.run(
        { ...given, ...tokenFeeds(ids, rows) },
        { outputs: [TRAINING_VALUES.logits] },
      );
      const logits = asFloat32(outputs[TRAINING_VALUES.logits], TRAINING_VALUES.logits);
      const classes = logits.shape[1]!;
      if (result.length === 0) result = new Float64Array(ids.length * classes);
      rows.forEach((row, at) => {
        const own = Float64Array.from(logits.data.subarray(at * classes, (at + 1) * classes));
        const norm = logSumExp(own);
        own.forEach((logit, k) => {
          result[row * classes + k] = logit - norm;
        });
      });
      done += rows.length;
      onRows?.(done);
    }
    return result;
  }

  /** Figures on labelled rows. */
  async measure(
    data: ClassifiedTokens,
    parameters: Parameters,
    limits: BatchLimits,
    classCount: number,
  ): Promise<ClassificationMetrics> {
    const scores = await this.logProbabilities(data.ids, parameters, limits);
    return classificationMetrics(scores, data.classes, classCount);
  }

  release(): Promise<void> {
    return this.session.release();
  }
}
