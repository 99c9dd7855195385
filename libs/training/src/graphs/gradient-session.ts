import { differentiate, gradientName, writeCrossEntropy } from '@thalamus/autodiff';
import { encodeModel, GraphBuilder, graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import { asFloat32, type Tensor } from '@thalamus/tensor';
import type { Gradients } from '../loop/adamw.js';
import type { GraphRuntime, GraphSession } from '../training-base.port.js';
import { TRAINING_VALUES } from './encoder-graph.js';

/** A graph that gives its loss and the gradients of its parameters. */
export class GradientSession {
  private constructor(
    private readonly session: GraphSession,
    private readonly loss: string,
    private readonly names: readonly string[],
  ) {}

  /** Opens a graph with the output `logits` under a loss of it; default: the mean cross-entropy against the input `labels`. */
  static async open(
    runtime: GraphRuntime,
    model: OnnxModel,
    trainable: ReadonlySet<string>,
    threads: number,
    writeLoss: WriteLoss = crossEntropy,
  ): Promise<GradientSession> {
    const { model: withLoss, loss } = underLoss(model, writeLoss);
    const names = [...trainable];
    const gradients = differentiate(withLoss, { loss, trainable: names });
    const session = await runtime.load({ bytes: encodeModel(gradients) }, { threads });
    return new GradientSession(session, loss, names);
  }

  /** Loss and gradients of one batch. */
  async compute(
    feeds: Readonly<Record<string, Tensor>>,
    parameterFeeds: Readonly<Record<string, Tensor>>,
  ): Promise<{ readonly loss: number; readonly gradients: Gradients }> {
    const outputs = await this.session.run({ ...feeds, ...parameterFeeds });
    const value = (name: string) => asFloat32(outputs[name], name).data;
    return {
      loss: value(this.loss)[0]!,
      gradients: new Map(this.names.map((name) => [name, value(gradientName(name))])),
    };
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/**
 * Writes a loss of the value `logits` [items, classes], with inputs of its own; returns its value, a scalar. Names of values
 * begin with `loss/`, so that none is the model's.
 */
export type WriteLoss = (builder: GraphBuilder, logits: string) => string;

/** Mean cross-entropy in nats against the input `labels` int64 [items]. */
export const crossEntropy: WriteLoss = (builder, logits) =>
  writeCrossEntropy(builder, logits, builder.input(TRAINING_VALUES.labels, 'int64', ['items']));

function underLoss(
  model: OnnxModel,
  writeLoss: WriteLoss,
): { readonly model: OnnxModel; readonly loss: string } {
  const graph = graphOf(model);
  const builder = new GraphBuilder();
  // The logits stand in for themselves: the nodes of the loss are put behind those of the model.
  builder.input(TRAINING_VALUES.logits, 'float32', ['items', 'classes']);
  const loss = writeLoss(builder, TRAINING_VALUES.logits);
  const added = graphOf(builder.build({ name: 'loss' }));
  return {
    loss,
    model: {
      ...model,
      graph: {
        ...graph,
        input: [...graph.input, ...added.input.filter(({ name }) => name !== TRAINING_VALUES.logits)],
        initializer: [...graph.initializer, ...added.initializer],
        node: [...graph.node, ...added.node.map((node) => ({ ...node, name: `loss/${node.name}` }))],
        output: [],
      },
    },
  };
}
