import { ThalamusError } from '@thalamus/errors';
import { graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import type { LinearLayer, LowRankBranches, MergeParent } from '../merge-method.js';

/**
 * Parents must have different names, labels that are told apart, and numbers of the sizes that they claim.
 * @throws COMPOSITION_REFUSED
 */
export function checkParents(parents: readonly MergeParent[], width: number): void {
  if (parents.length === 0) refuse('There is no parent; name at least one.');
  parents.forEach(({ name, labels, head, router, branches }, index) => {
    if (parents[index + 1]?.name === name) refuse(`${name} is a parent twice; name each parent once.`);
    if (new Set(labels).size !== labels.length) refuse(`${name} has a label twice; correct its manifest.`);
    checkLayer(name, 'head', head, labels.length, width);
    checkLayer(name, 'router', router, 1, width);
    if (branches) checkBranches(name, branches);
  });
}

function checkLayer(name: string, what: string, layer: LinearLayer, outputs: number, width: number): void {
  if (layer.bias.length !== outputs || layer.weights.length !== outputs * width)
    refuse(
      `The ${what} of ${name} has ${layer.weights.length} weights and ${layer.bias.length} biases where ${outputs} x ${width} and ${outputs} are needed.`,
    );
  if (!isFinite(layer.bias) || !isFinite(layer.weights))
    refuse(`The ${what} of ${name} holds numbers that are not finite; train it again.`);
}

function checkBranches(name: string, { factors, scale }: LowRankBranches): void {
  if (factors.length === 0) refuse(`${name} is low-rank, but has no factors; train it again.`);
  const seen = new Set<string>();
  for (const { layer, rank, inputs, outputs, a, b } of factors) {
    const where = `The branch of ${name} beside ${layer}`;
    if (seen.has(layer)) refuse(`${where} is given twice; train it again.`);
    seen.add(layer);
    if (rank < 1 || a.length !== rank * inputs || b.length !== outputs * rank)
      refuse(
        `${where} has ${a.length} and ${b.length} numbers where ${rank} x ${inputs} and ${outputs} x ${rank} are needed.`,
      );
    if (!Number.isFinite(scale) || !fitsHalf(a) || !fitsHalf(b))
      refuse(`${where} holds numbers that are not finite in float16; train it again.`);
  }
}

function isFinite(values: Float32Array): boolean {
  return values.every(Number.isFinite);
}

function fitsHalf(values: Float32Array): boolean {
  return values.every((value) => Number.isFinite(Math.f16round(value)));
}

/** Width of the base's embedding, after a look at its inputs (those named) and outputs. @throws GRAPH_INVALID */
export function embeddingWidth(base: OnnxModel, wanted: readonly string[]): number {
  const graph = graphOf(base);
  const constants = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.map(({ name }) => name).filter((name) => !constants.has(name));
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

/** Operator sets that a graph around a base needs. @throws GRAPH_INVALID for one that is too old */
export function operatorSets(base: OnnxModel): { readonly opset: number; readonly microsoft: boolean } {
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

function refuse(message: string): never {
  throw new ThalamusError('COMPOSITION_REFUSED', message);
}

function fail(message: string): never {
  throw new ThalamusError('GRAPH_INVALID', message);
}
