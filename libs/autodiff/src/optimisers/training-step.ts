import { GraphBuilder, graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import { copyInput, copyOutput } from '../declared-values.js';

/**
 * Joins a graph of gradients with one that steps its parameters: one run gives the loss, the norm of the gradients and the next
 * value of every tensor; gradients stay inside. Inputs are those of both but for the gradients.
 * @throws GRAPH_INVALID when the step takes a gradient that the first graph does not give, or names collide
 */
export function trainingStep(gradients: OnnxModel, step: OnnxModel): OnnxModel {
  const builder = new GraphBuilder();
  const [first, second] = [graphOf(gradients), graphOf(step)];
  const made = new Set(first.output.map(({ name }) => name));
  const taken = new Set(second.input.map(({ name }) => name));
  const known = new Set<string>();
  for (const input of [...first.input, ...second.input]) {
    if (made.has(input.name) || known.has(input.name)) continue;
    known.add(input.name);
    copyInput(builder, input);
  }
  const own = (graph: typeof first) => Object.fromEntries(graph.input.map(({ name }) => [name, name]));
  builder.embed(gradients, '', own(first));
  // Nodes of the step are named apart from those before; what it gives keeps its name.
  const given = Object.fromEntries(second.output.map(({ name }) => [name, name]));
  builder.embed(step, 'optimiser/', { ...own(second), ...given });
  const left = first.output.filter(({ name }) => !taken.has(name));
  for (const output of [...left, ...second.output]) copyOutput(builder, output);
  const opset = gradients.opsetImport.find(({ domain }) => domain === '')?.version ?? 21n;
  const microsoft = gradients.opsetImport.some(({ domain }) => domain === 'com.microsoft');
  return builder.build({ name: `${first.name}-step`, opset: Number(opset), microsoft });
}
