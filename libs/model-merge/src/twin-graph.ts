import { ThalamusError } from '@thalamus/errors';
import { GraphBuilder, graphOf, type OnnxModel, type ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import type { LinearLayer, MergedGraph, MergeInput, ProbeParent } from './merge-method.js';
import { unionLabels } from './union-labels.js';

/** Names of what a twin graph takes and gives; shapes are in `buildTwinGraph`. */
export const TWIN_VALUES = {
  inputIds: 'input_ids',
  attentionMask: 'attention_mask',
  /** Index of the parent that is to answer; negative: the router chooses. */
  task: 'task',
  routerWeights: 'router_weights',
  /** Index of the parent that answered. */
  parent: 'parent',
  logits: 'logits',
  scores: 'scores',
  label: 'label',
} as const;

/** Output with a parent's own logits, whoever was chosen. */
export function parentLogits(parent: string): string {
  return `${parent}/logits`;
}

/** Output with a parent's own probabilities, whoever was chosen. */
export function parentProbabilities(parent: string): string {
  return `${parent}/probabilities`;
}

/** Prefixes of what is no parent's: names of experts never begin with an underscore. */
const BASE_PREFIX = '_base/';
const ROUTER_PREFIX = '_router/';
/** Logit of a label that the chosen parent does not have: its probability is exactly zero in float32. */
const ABSENT_LOGIT = -1e9;

/**
 * One graph of a base and the heads of probe experts, with a router inside.
 *
 * Inputs: `input_ids`, `attention_mask` int64 [batch, sequence]; `task` int64 [batch]. Outputs: `router_weights` float32
 * [batch, parents], the softmax of the router on the embedding of the same pass; `parent` int64 [batch], the one of largest
 * weight (the first of equals) unless `task` names one; `logits` and `scores` float32 [batch, labels] over the union of the
 * labels, those of the chosen head, with probability zero for labels that it does not have; `label` int64 [batch]; and each
 * parent's own logits and probabilities. Every row of a batch is decided on its own.
 *
 * Parents are sorted by name, so that their order does not matter. Weights of the base stay as they are stored.
 * @throws COMPOSITION_REFUSED for parents that do not fit the base, GRAPH_INVALID for a base of another shape
 */
export function buildTwinGraph({ base, parents }: MergeInput): MergedGraph {
  const sorted = [...parents].sort((a, b) => (a.name < b.name ? -1 : 1));
  const width = widthOf(base);
  checkParents(sorted, width);
  const builder = new GraphBuilder();
  const embedding = embedBase(builder, base);
  const task = builder.input(TWIN_VALUES.task, 'int64', ['batch']);

  const logits = sorted.map(({ name, head }) => linear(builder, embedding, head, width, `${name}/`));
  const weights = builder.node('Softmax', [routerLogits(builder, embedding, sorted, width)], {
    name: TWIN_VALUES.routerWeights,
    attributes: { axis: -1 },
  });
  const parent = chooseParent(builder, weights, task);
  const union = unionLabels(sorted.map(({ labels }) => labels));
  const merged = mergeLogits(builder, logits, parent, union);

  builder.output(weights, 'float32', ['batch', sorted.length]);
  builder.output(parent, 'int64', ['batch']);
  builder.output(merged, 'float32', ['batch', union.labels.length]);
  const scores = builder.node('Softmax', [merged], { name: TWIN_VALUES.scores, attributes: { axis: -1 } });
  builder.output(scores, 'float32', ['batch', union.labels.length]);
  const label = builder.node('ArgMax', [merged], {
    name: TWIN_VALUES.label,
    attributes: { axis: 1, keepdims: 0 },
  });
  builder.output(label, 'int64', ['batch']);
  sorted.forEach(({ name, labels }, index) => {
    const own = logits[index] as ValueName;
    builder.output(own, 'float32', ['batch', labels.length]);
    const probabilities = builder.node('Softmax', [own], {
      name: parentProbabilities(name),
      attributes: { axis: -1 },
    });
    builder.output(probabilities, 'float32', ['batch', labels.length]);
  });
  const model = builder.build({ name: 'twin', ...operatorSets(base) });
  return { model, parents: sorted.map(({ name }) => name), labels: union.labels };
}

function checkParents(parents: readonly ProbeParent[], width: number): void {
  if (parents.length === 0) refuse('There is no parent; name at least one.');
  parents.forEach(({ name, labels, head, router }, index) => {
    if (parents[index + 1]?.name === name) refuse(`${name} is a parent twice; name each parent once.`);
    if (new Set(labels).size !== labels.length) refuse(`${name} has a label twice; correct its manifest.`);
    checkLayer(name, 'head', head, labels.length, width);
    checkLayer(name, 'router', router, 1, width);
  });
}

function checkLayer(name: string, what: string, layer: LinearLayer, outputs: number, width: number): void {
  if (layer.bias.length !== outputs || layer.weights.length !== outputs * width)
    refuse(
      `The ${what} of ${name} has ${layer.weights.length} weights and ${layer.bias.length} biases where ${outputs} x ${width} and ${outputs} are needed.`,
    );
  if (![...layer.bias].every(Number.isFinite) || !layer.weights.every(Number.isFinite))
    refuse(`The ${what} of ${name} holds numbers that are not finite; train it again.`);
}

/** Width of the base's embedding, after a look at its inputs and outputs. */
function widthOf(base: OnnxModel): number {
  const graph = graphOf(base);
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.map(({ name }) => name).filter((name) => !constants.has(name));
  const wanted: string[] = [TWIN_VALUES.inputIds, TWIN_VALUES.attentionMask];
  if (inputs.length !== wanted.length || !wanted.every((name) => inputs.includes(name)))
    fail(`The base takes ${inputs.join(', ') || 'nothing'}, but ${wanted.join(' and ')} are needed.`);
  if (
    graph.node.some(({ attribute }) =>
      attribute.some(({ g, graphs }) => g !== undefined || graphs.length > 0),
    )
  )
    fail(
      'The base holds nodes with graphs of their own (If, Loop, Scan), which cannot be fused; export it without them.',
    );
  const type = graph.output.find(({ name }) => name === 'embedding')?.type?.value;
  const size = type?.case === 'tensorType' ? type.value.shape?.dim.at(-1)?.value : undefined;
  if (size?.case !== 'dimValue') return fail('The base has no output "embedding" of a fixed width.');
  return Number(size.value);
}

function embedBase(builder: GraphBuilder, base: OnnxModel): ValueName {
  const inputs = [TWIN_VALUES.inputIds, TWIN_VALUES.attentionMask];
  const bindings = Object.fromEntries(
    inputs.map((name) => [name, builder.input(name, 'int64', ['batch', 'sequence'])]),
  );
  return builder.embed(base, BASE_PREFIX, bindings)['embedding'] as ValueName;
}

function operatorSets(base: OnnxModel): { readonly opset: number; readonly microsoft: boolean } {
  const version = base.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version;
  return {
    // GatherElements and Pad with inputs came with 11 and 13; what is older is not written for this graph.
    opset:
      version === undefined || version < 13n
        ? fail(`The base uses operator set ${version ?? 'none'}; export it with 13 or newer.`)
        : Number(version),
    microsoft: base.opsetImport.some(({ domain }) => domain === 'com.microsoft'),
  };
}

function linear(
  builder: GraphBuilder,
  input: ValueName,
  layer: LinearLayer,
  width: number,
  prefix: string,
): ValueName {
  const outputs = layer.bias.length;
  const matrix = builder.constant(
    `${prefix}weight`,
    tensor('float32', [width, outputs], transposed(layer.weights, outputs, width)),
  );
  const bias = builder.constant(`${prefix}bias`, tensor('float32', [outputs], layer.bias));
  return builder.node('Add', [builder.node('MatMul', [input, matrix]), bias], { name: `${prefix}logits` });
}

function routerLogits(
  builder: GraphBuilder,
  embedding: ValueName,
  parents: readonly ProbeParent[],
  width: number,
): ValueName {
  const weights = new Float32Array(parents.length * width);
  parents.forEach(({ router }, row) => weights.set(router.weights, row * width));
  const bias = Float32Array.from(parents, ({ router }) => router.bias[0]!);
  return linear(builder, embedding, { weights, bias }, width, ROUTER_PREFIX);
}

/** The named parent, else the one of largest weight. */
function chooseParent(builder: GraphBuilder, weights: ValueName, task: ValueName): ValueName {
  const zero = builder.constant('zero', tensor('int64', [], BigInt64Array.of(0n)));
  const byRouter = builder.node('ArgMax', [weights], { attributes: { axis: 1, keepdims: 0 } });
  const isOpen = builder.node('Less', [task, zero]);
  return builder.node('Where', [isOpen, byRouter, task], { name: TWIN_VALUES.parent });
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

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = matrix[row * columns + column]!;
  return result;
}

function refuse(message: string): never {
  throw new ThalamusError('COMPOSITION_REFUSED', message);
}

function fail(message: string): never {
  throw new ThalamusError('GRAPH_INVALID', message);
}
