import { ThalamusError } from '@thalamus/errors';
import { tensor } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { TensorProto_DataLocation } from './codec/gen/onnx/onnx_pb.js';
import { GraphBuilder } from './graph-builder.js';
import { DEFAULT_GRAPH_LIMITS, inspectGraph } from './inspect-graph.js';
import { decodeModel, encodeModel, graphOf, type OnnxModel } from './onnx-model.js';

/** y = x W + b over a varying batch. */
function linear(): OnnxModel {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'float32', ['batch', 2]);
  const weight = builder.constant('w', tensor('float32', [2, 3], new Float32Array([1, 2, 3, 4, 5, 6])));
  const bias = builder.constant('b', tensor('float32', [3], new Float32Array([1, 1, 1])));
  const y = builder.node('Add', [builder.node('MatMul', [x, weight]), bias], { name: 'y' });
  builder.output(y, 'float32', ['batch', 3]);
  return builder.build({ name: 'linear' });
}

const refusal = (model: OnnxModel, limits = DEFAULT_GRAPH_LIMITS): string => {
  try {
    inspectGraph(encodeModel(model), limits);
  } catch (error) {
    if (ThalamusError.is(error) && error.code === 'GRAPH_INVALID') return error.message;
  }
  throw new Error('the graph was accepted');
};

describe('inspectGraph', () => {
  it('describes a sound graph', () => {
    expect(inspectGraph(encodeModel(linear()))).toEqual({
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 3] }],
      nodeCount: 2,
      parameterCount: 9,
      opset: 21,
    });
  });

  it('refuses bytes that are cut short or are no model, for every cut', () => {
    const bytes = encodeModel(linear());
    for (const length of [0, 1, 7, bytes.length - 3]) {
      expect(() => inspectGraph(bytes.subarray(0, length))).toThrow(ThalamusError);
    }
    expect(() => inspectGraph(new TextEncoder().encode('<html>not a model</html>'))).toThrow(ThalamusError);
  });

  it('refuses external data that the manifest does not list', () => {
    const model = linear();
    const weight = graphOf(model).initializer[0]!;
    weight.dataLocation = TensorProto_DataLocation.EXTERNAL;
    weight.externalData = [
      { $typeName: 'onnx.StringStringEntryProto', key: 'location', value: '../../etc/passwd' },
    ] as typeof weight.externalData;
    expect(refusal(model)).toContain('../../etc/passwd');
    expect(() =>
      inspectGraph(encodeModel(model), { ...DEFAULT_GRAPH_LIMITS, externalFiles: ['../../etc/passwd'] }),
    ).not.toThrow();
  });

  it('refuses custom operator domains', () => {
    const model = linear();
    graphOf(model).node[0]!.domain = 'evil.ops';
    expect(refusal(model)).toContain('evil.ops');
  });

  it('refuses a cycle, a missing input and a value made twice', () => {
    const cyclic = linear();
    graphOf(cyclic).node[0]!.input[0] = 'y';
    expect(refusal(cyclic)).toContain('reads y');
    const twice = linear();
    graphOf(twice).node[1]!.output[0] = 'matmul';
    expect(refusal(twice)).toContain('made twice');
    const missing = linear();
    graphOf(missing).output[0]!.name = 'nowhere';
    expect(refusal(missing)).toContain('nowhere');
  });

  it('refuses lying shapes and too many nodes', () => {
    const lying = linear();
    graphOf(lying).initializer[0]!.dims = [1_000n, 1_000n];
    expect(refusal(lying)).toContain('instead of 4000000');
    expect(refusal(linear(), { ...DEFAULT_GRAPH_LIMITS, maxNodes: 1 })).toContain('more than 1 nodes');
  });
});

describe('GraphBuilder', () => {
  it('embeds a model twice under different prefixes', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', 'float32', ['batch', 2]);
    const left = builder.embed(linear(), 'left/', { x })['y']!;
    const right = builder.embed(linear(), 'right/', { x })['y']!;
    builder.output(builder.node('Add', [left, right], { name: 'sum' }), 'float32', ['batch', 3]);
    const summary = inspectGraph(encodeModel(builder.build({ name: 'twice' })));
    expect(summary.nodeCount).toBe(5);
    expect(summary.parameterCount).toBe(18);
    expect(() => builder.embed(linear(), 'third/', {})).toThrow('not bound');
  });

  it('keeps a model through a round trip', () => {
    const bytes = encodeModel(linear());
    expect(encodeModel(decodeModel(bytes))).toEqual(bytes);
  });
});
