import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { linear, type HeadedParent } from './linear.js';
import { parentLogits, parentProbabilities, TWIN_VALUES } from './twin-values.js';
import { unionLabels } from './union-labels.js';

/** Logit of a label that the chosen parent does not have: its probability is exactly zero in float32. */
const ABSENT_LOGIT = -1e9;

/** A parent whose head reads an encoding. */
export interface ReadHead extends HeadedParent {
  /** float32 [batch, width]: what the head reads. */
  readonly encoding: ValueName;
  /** Whether the encoding is that of the parent on every row, or only on those that it answers. */
  readonly isIfChosen: boolean;
}

/** Who answers: names of values. */
export interface Choice {
  /** float32 [batch, parents]: the softmax of the router. */
  readonly weights: ValueName;
  /** int64 [batch] */
  readonly parent: ValueName;
}

/**
 * Ends a composed graph: heads, the answer of the chosen one over the union of the labels, and all outputs that `TWIN_VALUES` names. `choose`
 * writes the choice, or gives one that was written.  * Gives the labels of the union.
 */
export function writeHeads(
  builder: GraphBuilder,
  parents: readonly ReadHead[],
  choose: () => Choice,
): readonly string[] {
  const logits = parents.map(({ name, head, encoding, isIfChosen }) =>
    linear(builder, encoding, head, {
      prefix: `${name}/`,
      name: isIfChosen ? `${name}/if_chosen` : parentLogits(name),
    }),
  );
  const { weights, parent } = choose();
  const union = unionLabels(parents.map(({ labels }) => labels));
  const merged = mergeLogits(builder, logits, parent, union);
  builder.output(weights, 'float32', ['batch', parents.length]);
  builder.output(parent, 'int64', ['batch']);
  builder.output(merged, 'float32', ['batch', union.labels.length]);
  const scores = builder.node('Softmax', [merged], { name: TWIN_VALUES.scores, attributes: { axis: -1 } });
  builder.output(scores, 'float32', ['batch', union.labels.length]);
  const label = builder.node('ArgMax', [merged], {
    name: TWIN_VALUES.label,
    attributes: { axis: 1, keepdims: 0 },
  });
  builder.output(label, 'int64', ['batch']);
  parents.forEach(({ name, labels, isIfChosen }, index) => {
    const given = logits[index] as ValueName;
    const own = isIfChosen
      ? ifAnswered(builder, given, parent, index, name)
      : probabilitiesOf(builder, given, name);
    builder.output(own.logits, 'float32', ['batch', labels.length]);
    builder.output(own.probabilities, 'float32', ['batch', labels.length]);
  });
  return union.labels;
}

/** A parent's own answer: names of its logits and probabilities, float32 [batch, labels]. */
interface OwnAnswer {
  readonly logits: ValueName;
  readonly probabilities: ValueName;
}

function probabilitiesOf(builder: GraphBuilder, logits: ValueName, name: string): OwnAnswer {
  const probabilities = builder.node('Softmax', [logits], {
    name: parentProbabilities(name),
    attributes: { axis: -1 },
  });
  return { logits, probabilities };
}

/** What a low-rank parent says where it was chosen. A head read on the encoding of another would say nothing. */
function ifAnswered(
  builder: GraphBuilder,
  given: ValueName,
  parent: ValueName,
  index: number,
  name: string,
): OwnAnswer {
  const self = builder.constant(`${name}/index`, tensor('int64', [], BigInt64Array.of(BigInt(index))));
  const axis = builder.constant(`${name}/axis`, tensor('int64', [1], BigInt64Array.of(1n)));
  const answered = builder.node('Unsqueeze', [builder.node('Equal', [parent, self]), axis]);
  const where = (value: ValueName, otherwise: number, result: string) => {
    const fill = builder.constant(
      `${result}/otherwise`,
      tensor('float32', [], new Float32Array([otherwise])),
    );
    return builder.node('Where', [answered, value, fill], { name: result });
  };
  const softmax = builder.node('Softmax', [given], { attributes: { axis: -1 } });
  return {
    logits: where(given, ABSENT_LOGIT, parentLogits(name)),
    probabilities: where(softmax, 0, parentProbabilities(name)),
  };
}

/** Logits of the chosen head at their places in the union: each row gathers the columns of its parent. */
function mergeLogits(
  builder: GraphBuilder,
  logits: readonly ValueName[],
  parent: ValueName,
  { labels, positions }: ReturnType<typeof unionLabels>,
): ValueName {
  const all =
    logits.length === 1
      ? (logits[0] as ValueName)
      : builder.node('Concat', logits, { attributes: { axis: 1 } });
  const pads = builder.constant('pads', tensor('int64', [4], BigInt64Array.of(0n, 0n, 0n, 1n)));
  const fill = builder.constant('absent', tensor('float32', [], new Float32Array([ABSENT_LOGIT])));
  const padded = builder.node('Pad', [all, pads, fill]);
  const total = positions.reduce((sum, own) => sum + own.length, 0);
  const columns = new BigInt64Array(positions.length * labels.length).fill(BigInt(total));
  let column = 0;
  positions.forEach((own, row) => {
    for (const position of own) columns[row * labels.length + position] = BigInt(column++);
  });
  const table = builder.constant('columns', tensor('int64', [positions.length, labels.length], columns));
  const chosen = builder.node('Gather', [table, parent], { attributes: { axis: 0 } });
  return builder.node('GatherElements', [padded, chosen], {
    name: TWIN_VALUES.logits,
    attributes: { axis: 1 },
  });
}
