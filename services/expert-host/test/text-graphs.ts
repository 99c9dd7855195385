import type { LowRankAdapter, MaskedLmHead } from '@thalamus/bundle';
import { OrtRuntime, padTokens, Tokenizer } from '@thalamus/inference';
import { encodeModel, GraphBuilder, graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import { logSumExp, tensor } from '@thalamus/tensor';
import { PICO_CONFIG, picoEncoder, picoHead, picoTokenizer } from '@thalamus/testing';

const { hiddenSize: WIDTH } = PICO_CONFIG;
const INPUTS = ['input_ids', 'attention_mask'] as const;

/** The pico encoder inside a graph, and its outputs by name. */
function encoder(inputs: readonly string[] = INPUTS) {
  const builder = new GraphBuilder();
  const bindings = Object.fromEntries(
    inputs.map((name) => [name, builder.input(name, 'int64', ['batch', 'sequence'])]),
  );
  return { builder, outputs: builder.embed(picoEncoder(), '', bindings) };
}

/** A classifier as exporters write it: `logits` [batch, labels], and `token_type_ids` among the inputs. */
export function classifierModel(labels: number, seed: number, more: readonly string[] = []): OnnxModel {
  const { builder, outputs } = encoder([...INPUTS, ...more]);
  const { weights, bias } = picoHead(labels, seed);
  const turned = new Float32Array(weights.length);
  weights.forEach((value, at) => {
    turned[(at % WIDTH) * labels + Math.floor(at / WIDTH)] = value;
  });
  const matrix = builder.constant('head', tensor('float32', [WIDTH, labels], turned));
  const product = builder.node('MatMul', [outputs['embedding'] ?? '', matrix]);
  const sum = builder.node(
    'Add',
    [product, builder.constant('head_bias', tensor('float32', [labels], bias))],
    {
      name: 'logits',
    },
  );
  builder.output(sum, 'float32', ['batch', labels]);
  return builder.build({ name: 'classifier' });
}

/** The encoder with one output, under the name that an exporter gives it. */
export function encoderModel(output: string, name: string): OnnxModel {
  const { builder, outputs } = encoder();
  const value = builder.node('Identity', [outputs[output] ?? ''], { name });
  const shape = output === 'last_hidden_state' ? ['batch', 'sequence', WIDTH] : ['batch', WIDTH];
  builder.output(value, 'float32', shape);
  return builder.build({ name: 'encoder' });
}

/** A masked language model as exporters write it: `logits` [batch, sequence, vocabulary] of all places. */
export function everyPlaceModel(words: Matrix): OnnxModel {
  const { builder, outputs } = encoder();
  const matrix = builder.constant('words', words);
  const turned = builder.node('Transpose', [matrix]);
  const logits = builder.node('MatMul', [outputs['last_hidden_state'] ?? '', turned], { name: 'logits' });
  builder.output(logits, 'float32', ['batch', 'sequence', words.shape[0] ?? 0]);
  return builder.build({ name: 'every-place' });
}

/** One text at a time through a graph in this process. */
export async function outputsOf(
  model: OnnxModel,
  texts: readonly string[],
  feedsOf: (ids: readonly number[]) => Record<string, ReturnType<typeof tensor<'int64'>>> = () => ({}),
) {
  const runtime = new OrtRuntime();
  const session = await runtime.load({ bytes: encodeModel(model) });
  const rows = await Tokenizer.parse(picoTokenizer()).encode(texts, PICO_CONFIG.maxPositions);
  const results = [];
  for (const row of rows) {
    const { inputIds, attentionMask } = padTokens([row]);
    const feeds = { input_ids: inputIds, attention_mask: attentionMask, ...feedsOf(row.ids) };
    results.push({ ids: row.ids, outputs: await session.run(feeds) });
  }
  await runtime.close();
  return results;
}

/** Probabilities of a row of logits. */
export function probabilities(logits: ArrayLike<number>): number[] {
  const all = logSumExp(logits);
  return Array.from(logits, (logit) => Math.exp(logit - all));
}

/** A head as `maskedLmGraph` takes it: by name, the dense matrix turned. */
export function headWeights({
  dense,
  denseBias,
  gain,
  shift,
  bias,
}: MaskedLmHead): Map<string, Float32Array> {
  const prefix = 'cls.predictions';
  const turned = dense.map((_, at) => dense[(at % WIDTH) * WIDTH + Math.floor(at / WIDTH)] ?? 0);
  return new Map([
    [`${prefix}.transform.dense.weight`, turned],
    [`${prefix}.transform.dense.bias`, denseBias],
    [`${prefix}.transform.LayerNorm.weight`, gain],
    [`${prefix}.transform.LayerNorm.bias`, shift],
    [`${prefix}.bias`, bias],
  ]);
}

/** The graph of one expert alone: the branches are constants beside the products of the base. */
export function materialised(model: OnnxModel, { factors, scale }: LowRankAdapter): OnnxModel {
  const graph = graphOf(model);
  const builder = new GraphBuilder();
  for (const name of graph.node.flatMap(({ output }) => output)) builder.outer(name);
  let made = 0;
  const sums = new Map<string, string>();
  const node = graph.node.flatMap((given) => {
    const factor = factors.find(
      ({ layer }) => given.opType === 'MatMul' && given.input[1] === `${layer}.weight`,
    );
    if (!factor) return [given];
    const { layer, a, b, rank, inputs, outputs } = factor;
    const input = builder.outer(given.input[0] ?? '');
    const product = builder.outer(`${layer}#product`);
    const turned = (name: string, shape: number[], data: Float32Array) =>
      builder.node('Transpose', [builder.constant(name, tensor('float32', shape, data))]);
    const down = builder.node('MatMul', [input, turned(`${layer}#a`, [rank, inputs], a)]);
    const up = builder.node('MatMul', [down, turned(`${layer}#b`, [outputs, rank], b)]);
    const factorOf = builder.constant(`${layer}#scale`, tensor('float32', [], new Float32Array([scale])));
    const sum = builder.node('Add', [product, builder.node('Mul', [up, factorOf])], { name: `${layer}#sum` });
    sums.set(given.output[0] ?? '', sum);
    const added = graphOf(builder.build({ name: 'branches' })).node.slice(made);
    made += added.length;
    return [{ ...given, output: [product] }, ...added.map((it) => ({ ...it, name: '' }))];
  });
  const rename = (name: string) => sums.get(name) ?? name;
  const constants = graphOf(builder.build({ name: 'x' })).initializer;
  return {
    ...model,
    graph: {
      ...graph,
      node: node.map((it) => ({ ...it, input: it.input.map(rename) })),
      initializer: [...graph.initializer, ...constants],
    },
  };
}

type Matrix = ReturnType<typeof tensor<'float32'>>;

/** A masked-LM head alone: `hidden` float32 [masked, hidden], `logits` float32 [masked, vocabulary]. */
export function headModel(head: ReadonlyMap<string, Float32Array>, words: Matrix): OnnxModel {
  const builder = new GraphBuilder();
  const [dense, bias, gain, shift, last] = [...head].map(([name, data]) =>
    builder.constant(
      name,
      tensor('float32', data.length === WIDTH * WIDTH ? [WIDTH, WIDTH] : [data.length], data),
    ),
  ) as [string, string, string, string, string];
  const hidden = builder.input('hidden', 'float32', ['masked', WIDTH]);
  const inner = builder.node('Gelu', [builder.node('Add', [builder.node('MatMul', [hidden, dense]), bias])]);
  const normed = builder.node('LayerNormalization', [inner, gain, shift], {
    attributes: { axis: -1, epsilon: { float: PICO_CONFIG.layerNormEpsilon } },
  });
  const turned = builder.node('Transpose', [builder.constant('words', words)]);
  const logits = builder.node('Add', [builder.node('MatMul', [normed, turned]), last], { name: 'logits' });
  builder.output(logits, 'float32', ['masked', words.shape[0] ?? 0]);
  return builder.build({ name: 'head' });
}
