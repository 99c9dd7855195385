import { ThalamusError } from '@thalamus/errors';
import { elementTypeOf, GraphBuilder, graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import type { Parameter } from '../loop/adamw.js';

/** Makes constants inputs of the same name, so that a run is given their values. @throws GRAPH_INVALID for a name that is none */
export function withInputs(model: OnnxModel, names: ReadonlySet<string>): OnnxModel {
  const graph = graphOf(model);
  const inputs = new GraphBuilder();
  let found = 0;
  for (const { name, dims, dataType } of graph.initializer) {
    if (!names.has(name)) continue;
    found += 1;
    inputs.input(name, elementTypeOf(dataType) ?? 'float32', dims.map(Number));
  }
  if (found !== names.size)
    throw new ThalamusError(
      'GRAPH_INVALID',
      `Of ${names.size} trainable names ${found} are constants of the graph.`,
    );
  const added = graphOf(inputs.build({ name: 'inputs' })).input;
  return {
    ...model,
    graph: {
      ...graph,
      input: [...graph.input, ...added],
      initializer: graph.initializer.filter(({ name }) => !names.has(name)),
    },
  };
}

/** Values of float32 constants by name, as parameters of their own memory. */
export function parametersOf(model: OnnxModel, names: ReadonlySet<string>): Map<string, Parameter> {
  return new Map(
    graphOf(model)
      .initializer.filter(({ name }) => names.has(name))
      .map(({ name, dims, rawData }) => [
        name,
        { shape: dims.map(Number), data: new Float32Array(new Uint8Array(rawData).buffer) },
      ]),
  );
}
