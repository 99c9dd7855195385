import { create } from '@bufbuild/protobuf';
import { ThalamusError } from '@thalamus/errors';
import { tensor } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  FunctionProtoSchema,
  GraphProtoSchema,
  NodeProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProto_SegmentSchema,
  TrainingInfoProtoSchema,
  ValueInfoProtoSchema,
  type GraphProto,
  type TensorProto,
} from './codec/gen/onnx/onnx_pb.js';
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

/** The linear model with a change, and what is said of it. */
const refusal = (change: (model: OnnxModel) => void, limits = DEFAULT_GRAPH_LIMITS): string => {
  const model = linear();
  change(model);
  try {
    inspectGraph(encodeModel(model), limits);
  } catch (error) {
    if (ThalamusError.is(error) && error.code === 'GRAPH_INVALID') return error.message;
    throw error;
  }
  throw new Error('the graph was accepted');
};

const weightOf = (model: OnnxModel): TensorProto => graphOf(model).initializer[0]!;

const entries = (pairs: readonly (readonly [string, string])[]) =>
  pairs.map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));

const external = (model: OnnxModel, pairs: readonly (readonly [string, string])[]): void => {
  const weight = weightOf(model);
  weight.dataLocation = TensorProto_DataLocation.EXTERNAL;
  weight.rawData = new Uint8Array(0);
  weight.externalData = entries(pairs);
};

/** A sub-graph that gives one constant, with another sub-graph inside for each further level. */
function nested(levels: number, reads = 'x'): GraphProto {
  const attribute =
    levels === 0
      ? []
      : [
          create(AttributeProtoSchema, {
            name: 'then_branch',
            type: AttributeProto_AttributeType.GRAPH,
            g: nested(levels - 1, reads),
          }),
        ];
  return create(GraphProtoSchema, {
    name: `level-${levels}`,
    node: [
      create(NodeProtoSchema, {
        opType: levels === 0 ? 'Identity' : 'If',
        input: [reads],
        output: ['inner'],
        attribute,
      }),
    ],
    output: [create(ValueInfoProtoSchema, { name: 'inner' })],
  });
}

describe('inspectGraph', () => {
  it('describes a sound graph', () => {
    expect(inspectGraph(encodeModel(linear()))).toEqual({
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 2] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 3] }],
      nodeCount: 2,
      parameterCount: 9,
      weightType: 'float32',
      externalFiles: [],
      opset: 21,
    });
  });

  it('takes numbers that are written one by one, packed nibbles, and initialisers that are inputs', () => {
    const model = linear();
    const weight = weightOf(model);
    weight.rawData = new Uint8Array(0);
    weight.floatData = [1, 2, 3, 4, 5, 6];
    const bias = graphOf(model).initializer[1]!;
    bias.dataType = TensorProto_DataType.INT4;
    bias.rawData = new Uint8Array(2);
    graphOf(model).input.push(create(ValueInfoProtoSchema, { name: 'w' }));
    expect(inspectGraph(encodeModel(model))).toMatchObject({
      inputs: [{ name: 'x' }],
      parameterCount: 9,
    });
  });

  it('refuses a model that is cut short, for every cut', () => {
    const bytes = encodeModel(linear());
    for (let length = 0; length < bytes.length; length++) {
      expect(() => inspectGraph(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'GRAPH_INVALID' }),
      );
    }
  });

  describe('external data', () => {
    const files = (externalFiles: string[]) => ({ ...DEFAULT_GRAPH_LIMITS, externalFiles });

    it('is refused from a file that the manifest does not list', () => {
      for (const location of ['../../etc/passwd', '/etc/passwd', '*/_ORT_MEM_ADDR_/*', '']) {
        expect(refusal((model) => external(model, [['location', location]]))).toContain(`"${location}"`);
      }
    });

    it('is taken from one that it lists', () => {
      const model = linear();
      external(model, [['location', 'model.onnx.data']]);
      expect(inspectGraph(encodeModel(model), files(['model.onnx.data']))).toMatchObject({
        parameterCount: 9,
        externalFiles: ['model.onnx.data'],
      });
    });

    it('is refused when it is described twice, unused, or beside raw data', () => {
      const twice = [
        ['location', 'model.onnx.data'],
        ['location', '/etc/passwd'],
      ] as const;
      expect(refusal((model) => external(model, twice), files(['model.onnx.data']))).toContain('twice');
      expect(
        refusal((model) => {
          weightOf(model).externalData = entries([['location', 'model.onnx.data']]);
        }),
      ).toContain('does not use it');
      expect(
        refusal(
          (model) => {
            external(model, [['location', 'model.onnx.data']]);
            weightOf(model).rawData = new Uint8Array(24);
          },
          files(['model.onnx.data']),
        ),
      ).toContain('keep one');
    });

    it('is found in attributes and sub-graphs as well', () => {
      const hidden = create(AttributeProtoSchema, {
        name: 'value',
        t: { name: 'c', dims: [1n], dataType: 1 },
      });
      hidden.t!.dataLocation = TensorProto_DataLocation.EXTERNAL;
      hidden.t!.externalData = entries([['location', '/etc/passwd']]);
      expect(refusal((model) => graphOf(model).node[0]!.attribute.push(hidden))).toContain('/etc/passwd');
      const sub = nested(1);
      sub.node[0]!.attribute[0]!.g!.node[0]!.attribute.push(hidden);
      expect(
        refusal((model) =>
          graphOf(model).node[0]!.attribute.push(
            create(AttributeProtoSchema, { name: 'body', graphs: [sub] }),
          ),
        ),
      ).toContain('/etc/passwd');
    });
  });

  it('refuses foreign operators: by node, by import, by function, in a sub-graph', () => {
    expect(refusal((model) => (graphOf(model).node[0]!.domain = 'evil.ops'))).toContain('evil.ops');
    expect(refusal((model) => (model.opsetImport[0]!.domain = 'evil.ops'))).toContain('evil.ops');
    expect(refusal((model) => (model.opsetImport = []))).toContain('no standard operators');
    expect(refusal((model) => model.functions.push(create(FunctionProtoSchema, { name: 'f' })))).toContain(
      'inlined',
    );
    const sub = nested(0);
    sub.node[0]!.domain = 'evil.ops';
    const body = create(AttributeProtoSchema, { name: 'body', g: sub });
    expect(refusal((model) => graphOf(model).node[0]!.attribute.push(body))).toContain('evil.ops');
  });

  it('refuses training graphs and sparse tensors wherever they stand', () => {
    expect(refusal((model) => model.trainingInfo.push(create(TrainingInfoProtoSchema)))).toContain(
      'training',
    );
    const sparse = create(SparseTensorProtoSchema);
    expect(refusal((model) => graphOf(model).sparseInitializer.push(sparse))).toContain('Sparse');
    const attribute = create(AttributeProtoSchema, { name: 'sparse_value', sparseTensor: sparse });
    expect(refusal((model) => graphOf(model).node[0]!.attribute.push(attribute))).toContain('Sparse');
  });

  it('refuses cycles, missing inputs and outputs, and names that are empty or used twice', () => {
    expect(refusal((model) => (graphOf(model).node[0]!.input[0] = 'y'))).toContain('reads y');
    expect(refusal((model) => graphOf(model).node.reverse())).toContain('made later');
    expect(refusal((model) => (graphOf(model).node[0]!.input[0] = 'ghost'))).toContain('reads ghost');
    expect(refusal((model) => (graphOf(model).node[1]!.output[0] = 'matmul'))).toContain('made twice');
    expect(refusal((model) => (graphOf(model).output[0]!.name = 'nowhere'))).toContain('nowhere');
    expect(refusal((model) => (graphOf(model).output = []))).toContain('no output');
    expect(refusal((model) => (weightOf(model).name = ''))).toContain('without a name');
    expect(
      refusal((model) => graphOf(model).input.push(create(ValueInfoProtoSchema, { name: 'x' }))),
    ).toContain('declared twice');
  });

  it('sees outer values in sub-graphs, but not inner ones outside', () => {
    const body = (sub: GraphProto) => create(AttributeProtoSchema, { name: 'body', g: sub });
    const model = linear();
    graphOf(model).node[1]!.attribute.push(body(nested(2, 'matmul')));
    expect(inspectGraph(encodeModel(model)).nodeCount).toBe(5);
    expect(
      refusal((changed) => graphOf(changed).node[0]!.attribute.push(body(nested(1, 'matmul')))),
    ).toContain('reads matmul');
    expect(
      refusal((changed) => {
        graphOf(changed).node[0]!.attribute.push(body(nested(0)));
        graphOf(changed).node[1]!.input[0] = 'inner';
      }),
    ).toContain('reads inner');
  });

  it('refuses what is too large, too deep or too long', () => {
    const limits = (change: Partial<typeof DEFAULT_GRAPH_LIMITS>) => ({ ...DEFAULT_GRAPH_LIMITS, ...change });
    const deep = (levels: number) => (model: OnnxModel) => {
      graphOf(model).node[0]!.attribute.push(
        create(AttributeProtoSchema, { name: 'body', g: nested(levels) }),
      );
    };
    expect(refusal(() => undefined, limits({ maxBytes: 10 }))).toContain('at most 10');
    expect(refusal(() => undefined, limits({ maxNodes: 1 }))).toContain('more than 1 nodes');
    expect(refusal(deep(2), limits({ maxNodes: 4 }))).toContain('more than 4 nodes');
    expect(refusal(deep(7))).toContain('deeper than 8');
    expect(refusal(deep(60))).toContain('cut short');
    const model = linear();
    deep(6)(model);
    expect(inspectGraph(encodeModel(model)).nodeCount).toBe(9);
  });

  it('refuses constants whose shape, type and data do not agree', () => {
    const change = (edit: (weight: TensorProto) => void) => refusal((model) => edit(weightOf(model)));
    expect(change((weight) => (weight.dims = [1_000n, 1_000n]))).toContain('24 bytes instead of 4000000');
    expect(change((weight) => (weight.dims = [-1n]))).toContain('impossible size -1');
    expect(change((weight) => (weight.dims = [2n ** 62n]))).toContain('impossible size');
    expect(change((weight) => (weight.dims = [2n ** 30n, 2n ** 30n, 0n]))).toContain('more than');
    expect(change((weight) => (weight.dataType = 999))).toContain('element type 999');
    expect(change((weight) => (weight.dataType = TensorProto_DataType.COMPLEX64))).toContain('not allowed');
    expect(change((weight) => (weight.dataType = TensorProto_DataType.STRING))).toContain('texts as raw');
    expect(change((weight) => (weight.rawData = new Uint8Array(0)))).toContain(
      'holds 0 elements instead of 6',
    );
    expect(change((weight) => (weight.segment = create(TensorProto_SegmentSchema)))).toContain('segments');
  });

  it('refuses inputs and outputs of impossible sizes', () => {
    const resize = (size: bigint) => (model: OnnxModel) => {
      const type = graphOf(model).input[0]!.type!.value;
      if (type.case === 'tensorType') type.value.shape!.dim[1]!.value = { case: 'dimValue', value: size };
    };
    expect(refusal(resize(-1n))).toContain('impossible size -1');
    expect(refusal(resize(2n ** 60n))).toContain('impossible size');
  });

  it('says nothing of element types that the mesh does not compute with', () => {
    const model = linear();
    const type = graphOf(model).input[0]!.type!.value;
    if (type.case === 'tensorType') type.value.elemType = TensorProto_DataType.COMPLEX64;
    graphOf(model).output[0]!.type = undefined;
    expect(inspectGraph(encodeModel(model))).toMatchObject({
      inputs: [{ name: 'x', dtype: undefined, shape: ['batch', 2] }],
      outputs: [{ name: 'y', dtype: undefined, shape: [] }],
    });
  });
});

describe('decodeModel', () => {
  it('refuses what is no model, and what holds no graph', () => {
    for (const text of ['', '<html>not a model</html>']) {
      expect(() => decodeModel(new TextEncoder().encode(text))).toThrow(ThalamusError);
    }
  });
});
