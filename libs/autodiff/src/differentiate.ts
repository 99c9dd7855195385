import { ThalamusError } from '@thalamus/errors';
import { elementTypeOf, GraphBuilder, graphOf, type OnnxGraph, type OnnxModel } from '@thalamus/onnx-graph';
import { copyInput } from './declared-values.js';
import { GradientTape } from './gradient-tape.js';
import { FLOAT_TYPES, type FloatType } from './float-types.js';
import { intAttribute, type GraphNode } from './node-facts.js';
import { ELEMENTWISE_RULES, type GradientRule } from './rules/elementwise.js';
import { INDEXING_RULES } from './rules/indexing.js';
import { LAYER_RULES } from './rules/layers.js';
import { REDUCTION_RULES } from './rules/reductions.js';
import { splitRule, STRUCTURE_RULES } from './rules/structure.js';

/** What is differentiated by what. */
export interface DifferentiateOptions {
  /** Value that is differentiated: a scalar of the element type of what is trained. */
  readonly loss: string;
  /** Constants that gradients are wanted for: all float32, or all float64. */
  readonly trainable: readonly string[];
}

const RULES: Readonly<Record<string, GradientRule>> = {
  ...ELEMENTWISE_RULES,
  ...REDUCTION_RULES,
  ...STRUCTURE_RULES,
  ...INDEXING_RULES,
  ...LAYER_RULES,
};

/** The one operator whose outputs all have gradients. */
const SPLIT = 'Split';

/** Operators that have a gradient. */
export const DIFFERENTIABLE_OPERATORS: readonly string[] = [...Object.keys(RULES), SPLIT].sort();

/** Oldest operator set that the gradients can be written in: reductions take their axes as inputs from there on. */
const OLDEST_OPSET = 18;

/** Name of the output that holds a gradient. */
export function gradientName(trainable: string): string {
  return `gradient/${trainable}`;
}

/**
 * Reverse-mode differentiation of a graph (Baydin et al. 2018, section 3.2). The result takes the trainable constants as
 * inputs of the same names beside the model's own, and gives the loss and `gradient/<name>` of each in its shape and type.
 * The model given is not changed. Deterministic: the same model gives the same bytes.
 * @throws GRAPH_INVALID naming node and operator when there is no rule; also for a loss or trainable that is not there, or
 * that the loss does not depend on, and for an operator set older than 18
 */
export function differentiate(model: OnnxModel, { loss, trainable }: DifferentiateOptions): OnnxModel {
  const graph = graphOf(model);
  const opset = Number(model.opsetImport.find(({ domain }) => domain === '')?.version ?? 21n);
  if (opset < OLDEST_OPSET)
    fail(
      `The model uses operator set ${opset}; gradients need ${OLDEST_OPSET} or later: convert the model first.`,
    );
  const elementType = elementTypeOfAll(graph, trainable);
  const builder = new GraphBuilder();
  for (const input of graph.input) copyInput(builder, input);
  for (const name of trainable) builder.input(name, elementType, constantOf(graph, name).dims.map(Number));
  const wanted = dependents(graph, new Set(trainable), elementType);
  if (!wanted.has(loss))
    fail(`The loss ${loss} does not depend on what is to be trained, or is not in the graph.`);
  const kept = {
    ...graph,
    input: [],
    initializer: graph.initializer.filter(({ name }) => !trainable.includes(name)),
  };
  const names = new Set([...graph.input.map(({ name }) => name), ...trainable]);
  builder.embed({ ...model, graph: kept }, '', Object.fromEntries([...names].map((name) => [name, name])));
  const tape = new GradientTape(builder, graph, wanted, elementType);
  tape.add(loss, tape.op('Expand', [tape.scalar(1), tape.shape(loss)]));
  for (const node of [...graph.node].reverse()) backward(node, tape);
  builder.output(loss, elementType, []);
  for (const name of trainable) {
    const gradient = tape.gradientOf(name);
    if (gradient === undefined) fail(`The loss ${loss} does not depend on ${name}.`);
    const output = builder.node('Identity', [gradient], { name: gradientName(name) });
    builder.output(output, elementType, constantOf(graph, name).dims.map(Number));
  }
  const microsoft = model.opsetImport.some(({ domain }) => domain === 'com.microsoft');
  return builder.build({ name: `${graph.name}-gradients`, opset, microsoft });
}

/** Writes the gradients of one node's inputs, when its outputs have any and its inputs want them. */
function backward(node: GraphNode, tape: GradientTape): void {
  if (!node.input.some((input) => tape.wants(input))) return;
  const gradients = node.output.map((output) => tape.gradientOf(output));
  if (gradients.every((gradient) => gradient === undefined)) return;
  const name = `${node.domain === '' ? '' : `${node.domain}.`}${node.opType}`;
  if (name === SPLIT) {
    splitRule(node, gradients, tape);
    return;
  }
  const rule = node.domain === '' ? RULES[node.opType] : undefined;
  if (!rule)
    fail(
      `Node ${node.name} uses the operator ${name}, which has no gradient here; known are ${DIFFERENTIABLE_OPERATORS.join(', ')}.`,
    );
  const further = node.output.find((_, at) => at > 0 && gradients[at] !== undefined);
  if (further !== undefined)
    fail(
      `Node ${node.name} (${node.opType}) is used by its further output ${further}, which has no gradient here.`,
    );
  rule(node, gradients[0]!, tape);
}

/** The element type that all trainable constants share. @throws GRAPH_INVALID naming the one that is not of it */
function elementTypeOfAll(graph: OnnxGraph, trainable: readonly string[]): FloatType {
  const types = trainable.map((name) => elementTypeOf(constantOf(graph, name).dataType));
  const [first] = types;
  if (!first) fail('Nothing is to be trained: name at least one constant.');
  const odd = types.findIndex((type) => type !== first);
  if (odd > 0)
    fail(`The trainable ${trainable[odd]} is ${types[odd]}, ${trainable[0]} is ${first}: train one type.`);
  return first as FloatType; // `constantOf` lets no other through.
}

function constantOf(graph: OnnxGraph, name: string): OnnxGraph['initializer'][number] {
  const constant = graph.initializer.find((item) => item.name === name);
  const type = constant && elementTypeOf(constant.dataType);
  if (constant && (type === 'float32' || type === 'float64')) return constant;
  return fail(`The trainable ${name} is no float32 or float64 constant of the graph.`);
}

/** Operators whose outputs do not change when their inputs change a little. */
const FLAT = new Set([
  ...['Shape', 'Size', 'NonZero', 'ArgMax', 'ArgMin', 'IsNaN', 'IsInf', 'ConstantOfShape', 'Sign', 'Floor'],
  ...[
    'Ceil',
    'Round',
    'Equal',
    'Greater',
    'GreaterOrEqual',
    'Less',
    'LessOrEqual',
    'And',
    'Or',
    'Xor',
    'Not',
  ],
]);

/** Values that depend smoothly on given ones, these included. */
function dependents(
  graph: OnnxGraph,
  given: ReadonlySet<string>,
  elementType: FloatType,
): ReadonlySet<string> {
  const result = new Set(given);
  for (const node of graph.node) {
    if (FLAT.has(node.opType) || castsAway(node, result, elementType)) continue;
    if (node.input.some((name) => result.has(name))) for (const name of node.output) result.add(name);
  }
  return result;
}

/** ONNX numbers of float32, float16, float64 and bfloat16. */
const FLOATS = [1, 10, 11, 16];

/** A cast to whole numbers or truth values; one of a trained value to another float type is refused. */
function castsAway(node: GraphNode, trained: ReadonlySet<string>, elementType: FloatType): boolean {
  const own = FLOAT_TYPES[elementType].code;
  const to = intAttribute(node, 'to', own);
  if (node.opType !== 'Cast' || to === own) return false;
  if (FLOATS.includes(to) && node.input.some((name) => trained.has(name)))
    fail(
      `Node ${node.name} (Cast) turns a trained value into element type ${to}; its gradients are ${elementType} (${own}).`,
    );
  return true;
}

function fail(message: string): never {
  throw new ThalamusError('GRAPH_INVALID', message);
}
