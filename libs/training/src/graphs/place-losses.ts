import { encodeModel, GraphBuilder, graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { TRAINING_VALUES } from './encoder-graph.js';

/** Output of `withPlaceLosses`: float32 [items], nats. */
export const PLACE_LOSSES = 'place_losses/nats';

/**
 * A graph with the output `logits` [items, classes] that gives, instead, the cross-entropy of each item against the input `labels` int64
 * [items]: -log softmax(z)_y. Scores of a whole vocabulary need not leave the graph.
 */
export function withPlaceLosses(model: OnnxModel): Uint8Array {
  const graph = graphOf(model);
  const builder = new GraphBuilder('place_losses/');
  builder.input(TRAINING_VALUES.logits, 'float32', ['items', 'classes']);
  const labels = builder.input(TRAINING_VALUES.labels, 'int64', ['items']);
  const axis = builder.constant('axis', tensor('int64', [1], BigInt64Array.of(1n)));
  const column = builder.node('Unsqueeze', [labels, axis]);
  const scores = builder.node('LogSoftmax', [TRAINING_VALUES.logits], { attributes: { axis: -1 } });
  const chosen = builder.node('GatherElements', [scores, column], { attributes: { axis: 1 } });
  const negative = builder.node('Neg', [builder.node('Squeeze', [chosen, axis])], { name: 'nats' });
  builder.output(negative, 'float32', ['items']);
  const added = graphOf(builder.build({ name: 'place-losses' }));
  return encodeModel({
    ...model,
    graph: {
      ...graph,
      input: [...graph.input, ...added.input.filter(({ name }) => name !== TRAINING_VALUES.logits)],
      initializer: [...graph.initializer, ...added.initializer],
      node: [...graph.node, ...added.node.map((node) => ({ ...node, name: `place_losses/${node.name}` }))],
      output: added.output,
    },
  });
}
