import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';

/**
 * Adds the mean cross-entropy in nats: logits float32 [rows, classes], labels int64 [rows], each within the classes. Returns
 * the value of the loss, a scalar.
 */
export function writeCrossEntropy(builder: GraphBuilder, logits: ValueName, labels: ValueName): ValueName {
  const ints = (...values: number[]) =>
    builder.constant('loss/axes', tensor('int64', [values.length], BigInt64Array.from(values, BigInt)));
  const logProbabilities = builder.node('LogSoftmax', [logits], {
    name: 'loss/log_softmax',
    attributes: { axis: -1 },
  });
  const index = builder.node('Unsqueeze', [labels, ints(1)], { name: 'loss/index' });
  const chosen = builder.node('GatherElements', [logProbabilities, index], {
    name: 'loss/chosen',
    attributes: { axis: 1 },
  });
  const mean = builder.node('ReduceMean', [chosen], { name: 'loss/mean', attributes: { keepdims: 0 } });
  return builder.node('Neg', [mean], { name: 'loss' });
}
