import { encodeModel, type OnnxModel } from '@thalamus/onnx-graph';
import { asFloat32, logSumExp, tensor, type Tensor, type TensorOf } from '@thalamus/tensor';
import { maskTokens, type MaskedRow, type MaskVocabulary } from '../data/mask-tokens.js';
import { mixSeed } from '../data/mix-seed.js';
import { evaluationBatches } from '../data/token-batches.js';
import { TRAINING_VALUES } from '../graphs/encoder-graph.js';
import { withInputs } from '../graphs/with-inputs.js';
import type { Parameters } from '../loop/adamw.js';
import type { GraphRuntime, GraphSession } from '../training-base.port.js';
import { parameterFeeds, tokenFeeds, type BatchLimits } from './classifier-model.js';

/** Masks that every expert is judged by: a row's mask is a function of its place and of the number of the mask alone. */
export interface FixedMasks {
  readonly vocabulary: MaskVocabulary;
  /** Share of the words that one mask hides. */
  readonly share: number;
  /** Masks of each row. They are disjoint: together they hide masks * share of the words, each word once. */
  readonly masks: number;
  readonly seed: number;
}

/** Loss of one row over all its masks. */
export interface RowLoss {
  /** Sum over the hidden word pieces, nats. */
  readonly nats: number;
  readonly pieces: number;
}

/** Ids, mask, positions in the batch and hidden tokens of rows, as the graphs take them. */
export function maskedFeeds(rows: readonly MaskedRow[]): Record<string, Tensor> {
  const ids = rows.map((row) => row.ids);
  const longest = Math.max(...ids.map(({ length }) => length));
  const positions = rows.flatMap((row, at) =>
    row.positions.map((position) => BigInt(at * longest + position)),
  );
  const labels = rows.flatMap((row) => row.labels.map(BigInt));
  return {
    ...tokenFeeds(ids, Array.from(ids.keys())),
    [TRAINING_VALUES.positions]: tensor('int64', [positions.length], BigInt64Array.from(positions)),
    [TRAINING_VALUES.labels]: tensor('int64', [labels.length], BigInt64Array.from(labels)),
  };
}

/** A masked-LM graph that is run with given parameters. */
export class MaskedLmModel {
  private constructor(private readonly session: GraphSession) {}

  /** Opens a graph of `maskedLmGraph`; `parameters` are its constants that become inputs. */
  static async open(
    runtime: GraphRuntime,
    model: OnnxModel,
    parameters: ReadonlySet<string>,
    threads: number,
  ): Promise<MaskedLmModel> {
    const bytes = encodeModel(withInputs(model, parameters));
    return new MaskedLmModel(await runtime.load({ bytes }, { threads }));
  }

  /** The same for a graph that is open. */
  static of(session: GraphSession): MaskedLmModel {
    return new MaskedLmModel(session);
  }

  /** Losses of the rows under fixed masks, the mask token at every hidden place. */
  async rowLosses(
    rows: readonly (readonly number[])[],
    fixed: FixedMasks,
    parameters: Parameters,
    limits: BatchLimits,
    onRows?: (done: number) => void,
  ): Promise<RowLoss[]> {
    const given = parameterFeeds(parameters);
    const nats = new Float64Array(rows.length);
    const pieces = new Float64Array(rows.length);
    let done = 0;
    const lengths = rows.map(({ length }) => length);
    for (const batch of evaluationBatches(lengths, limits)) {
      for (let mask = 0; mask < fixed.masks; mask++) {
        const hidden = batch.map((row) =>
          maskTokens(rows[row]!, fixed.vocabulary, {
            share: fixed.share,
            seed: mixSeed(fixed.seed, row),
            part: mask,
            always: true,
          }),
        );
        await this.addLosses(hidden, batch, given, nats, pieces);
      }
      done += batch.length;
      onRows?.(done);
    }
    return Array.from(nats, (sum, row) => ({ nats: sum, pieces: pieces[row]! }));
  }

  /** Mean loss in nats for each hidden word piece. */
  async meanLoss(
    rows: readonly (readonly number[])[],
    fixed: FixedMasks,
    parameters: Parameters,
    limits: BatchLimits,
  ): Promise<number> {
    const losses = await this.rowLosses(rows, fixed, parameters, limits);
    const sum = losses.reduce((all, { nats }) => all + nats, 0);
    return (
      sum /
      Math.max(
        1,
        losses.reduce((all, { pieces }) => all + pieces, 0),
      )
    );
  }

  release(): Promise<void> {
    return this.session.release();
  }

  /** Scores of the hidden places of rows, [places, vocabulary]. At least one place is hidden. */
  async logits(
    hidden: readonly MaskedRow[],
    given: Readonly<Record<string, Tensor>> = {},
  ): Promise<TensorOf<'float32'>> {
    const feeds = Object.fromEntries(
      Object.entries(maskedFeeds(hidden)).filter(([name]) => name !== TRAINING_VALUES.labels),
    );
    const outputs = await this.session.run({ ...feeds, ...given }, { outputs: [TRAINING_VALUES.logits] });
    return asFloat32(outputs[TRAINING_VALUES.logits], TRAINING_VALUES.logits);
  }

  private async addLosses(
    hidden: readonly MaskedRow[],
    batch: readonly number[],
    given: Readonly<Record<string, Tensor>>,
    nats: Float64Array,
    pieces: Float64Array,
  ): Promise<void> {
    if (hidden.every(({ positions }) => positions.length === 0)) return;
    const logits = await this.logits(hidden, given);
    const size = logits.shape[1]!;
    let at = 0;
    hidden.forEach(({ labels }, index) => {
      const row = batch[index]!;
      for (const label of labels) {
        const scores = Float64Array.from(logits.data.subarray(at * size, (at + 1) * size));
        nats[row]! += logSumExp(scores) - scores[label]!;
        pieces[row]! += 1;
        at += 1;
      }
    });
  }
}
