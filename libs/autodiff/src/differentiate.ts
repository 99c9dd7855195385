import { ThalamusError } from '@thalamus/errors';
import { elementTypeOf, GraphBuilder, graphOf, type OnnxGraph, type OnnxModel } from '@thalamus/onnx-graph';
import { GradientTape } from './gradient-tape.js';
import { FLOAT32, intAttribute, type GraphNode } from './node-facts.js';
import { ELEMENTWISE_RULES, type GradientRule } from './rules/elementwise.js';
import { LAYER_RULES } from './rules/layers.js';
import { STRUCTURE_RULES } from './rules/structure.js';

/** What is differentiated by what. */
export interface DifferentiateOptions {
  /** Value that is differentiated: a float32 scalar. */
  readonly loss: string;
  /** float32 constants that gradients are wanted for. */
  readonly trainable: readonly string[];
}

const RULES: Readonly<Record<string, GradientRule>> = {
  ...ELEMENTWISE_RULES,
  ...STRUCTURE_RULES,
  ...LAYER_RULES,
};

/** Operators that have a gradient. */
export const DIFFERENTIABLE_OPERATORS: readonly string[] = Object.keys(RULES).sort();

/** Name of the output that holds a gradient. */
export function gradientName(trainable: string): string {
  return `gradient/${trainable}`;
}

/**
 * Reverse-mode differentiation of a graph (Baydin et al. 2018, section 3.2). The result takes the trainable constants as
 * inputs of the same names beside the model's own, and gives the loss and `gradient/<name>` of each, float32 in its shape.
 * The model given is not changed. Deterministic: the same model gives the same bytes.
 * @throws GRAPH_INVALID naming node and operator when there is no rule; also for a loss or trainable that is not there, or
 * that the loss does not depend on
 */
export function differentiate(model: OnnxModel, { loss, trainable }: DifferentiateOptions): OnnxModel {
  const graph = graphOf(model);
  const builder = new GraphBuilder();
  declareInputs(builder, graph, trainable);
  const wanted = dependents(graph, new Set(trainable));
  if (!wanted.has(loss))
    fail(`The loss ${loss} does not depend on what is to be trained, or is not in the graph.`);
  const kept = {
    ...graph,
    input: [],
    initializer: graph.initializer.filter(({ name }) => !trainable.includes(name)),
  };
  const names = new Set([...graph.input.map(({ name }) => name), ...trainable]);
  builder.embed({ ...model, graph: kept }, '', Object.fromEntries([...names].map((name) => [name, name])));
  const tape = new GradientTape(builder, graph, wanted);
  tape.add(loss, tape.op('Expand', [tape.scalar(1), tape.shape(loss)]));
  for (const node of [...graph.node].reverse()) {
    const [output = '', ...others] = node.output;
    const further = others.find((name) => tape.gradientOf(name) !== undefined);
    if (further !== undefined && node.input.some((input) => tape.wants(input)))
      fail(
        `Node ${node.name} (${node.opType}) is used by its further output ${further}, which has no gradient here.`,
      );
    const gradient = tape.gradientOf(output);
    if (gradient === undefined || !node.input.some((input) => tape.wants(input))) continue;
    const rule = RULES[node.opType];
    if (!rule || node.domain !== '')
      throw new ThalamusError(
        'GRAPH_INVALID',
        `Node ${node.name} uses the operator ${node.domain === '' ? '' : `${node.domain}.`}${node.opType}, which has no gradient here; known are ${DIFFERENTIABLE_OPERATORS.join(', ')}.`,
      );
    rule(node, gradient, tape);
  }
  builder.output(loss, 'float32', []);
  for (const name of trainable) {
    const gradient = tape.gradientOf(name);
    if (gradient === undefined) fail(`The loss ${loss} does not depend on ${name}.`);
    const output = builder.node('Identity', [gradient], { name: gradientName(name) });
    builder.output(output, 'float32', dimsOf(graph, name));
  }
  const opset = model.opsetImport.find(({ domain }) => domain === '')?.version ?? 21n;
  const microsoft = model.opsetImport.some(({ domain }) => domain === 'com.microsoft');
  return builder.build({ name: `${graph.name}-gradients`, opset: Number(opset), microsoft });
}

function declareInputs(builder: GraphBuilder, graph: OnnxGraph, trainable: readonly string[]): void {
  for (const { name, type } of graph.input) {
    if (type?.value.case !== 'tensorType') continue;
    const { elemType, shape } = type.value.value;
    const dims = (shape?.dim ?? []).map(({ value }, axis) => {
      if (value.case === 'dimValue') return Number(value.value);
      return value.case === 'dimParam' ? value.value : `${name}#${axis}`;
    });
    builder.input(
      name,
      elementTypeOf(elemType) ?? fail(`Input ${name} has an element type that is not known.`),
      dims,
    );
  }
  for (const name of trainable) builder.input(name, 'float32', dimsOf(graph, name));
}

function dimsOf(graph: OnnxGraph, name: string): number[] {
  const constant = graph.initializer.find((item) => item.name === name);
  if (constant?.dataType !== FLOAT32)
    return fail(`The trainable ${name} is no float32 constant of the graph.`);
  return constant.dims.map(Number);
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
function dependents(graph: OnnxGraph, given: ReadonlySet<string>): ReadonlySet<string> {
  const result = new Set(given);
  for (const node of graph.node) {
    if (FLAT.has(node.opType) || castsAway(node, result)) continue;
    if (node.input.some((name) => result.has(name))) for (const name of node.output) result.add(name);
  }
  return result;
}

/** A cast to whole numbers or truth values; one of a trained value to another float type is refused. */
function castsAway(node: GraphNode, trained: ReadonlySet<string>): boolean {
  const to = intAttribute(node, 'to', FLOAT32);
  if (node.opType !== 'Cast' || to === FLOAT32) return false;
  const isFloat = [10, 11, 16].includes(to);
  if (isFloat && node.input.some((name) => trained.has(name)))
    fail(
      `Node ${node.name} (Cast) turns a trained value into element type ${to}; only float32 has gradients.`,
    );
  return true;
}

function fail(message: string): never {
  throw new ThalamusError('GRAPH_INVALID', message);
}
