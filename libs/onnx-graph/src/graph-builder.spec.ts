import { ThalamusError } from '@thalamus/errors';
import { tensor, type Tensor } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { AttributeProto_AttributeType as Kind } from './codec/gen/onnx/onnx_pb.js';
import { GraphBuilder } from './graph-builder.js';
import { tensorProto } from './graph-protos.js';
import { inspectGraph } from './inspect-graph.js';
import { decodeModel, encodeModel, graphOf, type OnnxModel } from './onnx-model.js';

function doubled(): OnnxModel {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'float32', ['batch']);
  const two = builder.constant('two', tensor('float32', [], new Float32Array([2])));
  builder.output(builder.node('Mul', [x, two], { name: 'y' }), 'float32', ['batch']);
  return builder.build({ name: 'doubled' });
}

const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (ThalamusError.is(error)) return `${error.code}: ${error.message}`;
  }
  throw new Error('nothing was refused');
};

describe('GraphBuilder', () => {
  it('embeds a model twice under different prefixes, sharing nothing', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', 'float32', ['batch']);
    const left = builder.embed(doubled(), 'left/', { x })['y']!;
    const right = builder.embed(doubled(), 'right/', { x: left })['y']!;
    builder.output(builder.node('Add', [left, right], { name: 'sum' }), 'float32', ['batch']);
    const model = builder.build({ name: 'twice' });
    const graph = graphOf(model);
    expect(graph.node.map(({ input, output }) => [...input, '->', ...output].join(' '))).toEqual([
      'x left/two -> left/y',
      'left/y right/two -> right/y',
      'left/y right/y -> sum',
    ]);
    expect(inspectGraph(encodeModel(model))).toMatchObject({ nodeCount: 3, parameterCount: 2 });
  });

  it('refuses names that nothing made, names that are taken, and inputs that are not bound', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', 'float32', ['batch']);
    expect(refusal(() => builder.node('Relu', ['ghost']))).toBe(
      'GRAPH_INVALID: Relu uses ghost, which nothing has made yet.',
    );
    expect(refusal(() => builder.output('ghost', 'float32', []))).toContain('ghost');
    expect(refusal(() => builder.input('x', 'float32', []))).toContain('taken already');
    expect(refusal(() => builder.embed(doubled(), 'a/', {}))).toContain(
      'Input x of the embedded graph is not bound',
    );
    builder.embed(doubled(), 'a/', { x });
    expect(refusal(() => builder.embed(doubled(), 'a/', { x }))).toContain('taken already');
  });

  it('embeds graphs inside nodes under the same names, and keeps names of a graph inside apart by a prefix', () => {
    const inner = new GraphBuilder('inner/');
    const two = inner.constant('two', tensor('float32', [], new Float32Array([2])));
    inner.output(inner.node('Mul', [inner.outer('x'), two], { name: 'y' }), 'float32', ['batch']);
    const graphs = { then_branch: inner.build({ name: 'then' }), else_branch: inner.build({ name: 'else' }) };
    const model = new GraphBuilder();
    model.input('x', 'float32', ['batch']);
    const wanted = model.input('wanted', 'bool', []);
    model.output(model.node('If', [wanted], { name: 'out', graphs }), 'float32', ['batch']);
    const around = new GraphBuilder();
    const bindings = {
      x: around.input('given', 'float32', ['batch']),
      wanted: around.input('go', 'bool', []),
    };
    const { out } = around.embed(model.build({ name: 'model' }), 'base/', bindings);
    around.output(out!, 'float32', ['batch']);
    const built = around.build({ name: 'around' });
    inspectGraph(encodeModel(built));
    const then = graphOf(built).node[0]!.attribute.find(({ name }) => name === 'then_branch')!.g!;
    expect(then.node.map(({ input, output }) => [...input, '->', ...output].join(' '))).toEqual([
      'given base/inner/two -> base/inner/y',
    ]);
    expect([then.initializer[0]!.name, then.output[0]!.name]).toEqual(['base/inner/two', 'base/inner/y']);
  });

  it('gives hints that are taken a number, and keeps omitted inputs empty', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', 'float32', ['batch']);
    const names = [builder.node('Relu', [x]), builder.node('Relu', [x]), builder.node('Clip', [x, '', x])];
    expect(new Set(names).size).toBe(3);
    expect(builder.nodeWithOutputs('Split', [x], ['a', 'b']).length).toBe(2);
    builder.output(names[2]!, 'float32', ['batch']);
    expect(graphOf(builder.build({ name: 'g' })).node[2]!.input).toEqual(['x', '', 'x']);
  });

  it('writes attributes by their kind, and imports what it is asked to', () => {
    const builder = new GraphBuilder();
    const x = builder.input('x', 'float32', ['batch']);
    const attributes = { to: 1, epsilon: { float: 1e-5 }, mode: 'linear', perm: [1, 0] };
    builder.output(builder.node('Any', [x], { attributes, domain: 'com.microsoft' }), 'float32', [2]);
    const model = builder.build({ name: 'g', opset: 17, microsoft: true });
    expect(
      graphOf(model).node[0]!.attribute.map(({ name, type, i, f, ints }) => ({ name, type, i, f, ints })),
    ).toEqual([
      { name: 'to', type: Kind.INT, i: 1n, f: 0, ints: [] },
      { name: 'epsilon', type: Kind.FLOAT, i: 0n, f: 1e-5, ints: [] },
      { name: 'mode', type: Kind.STRING, i: 0n, f: 0, ints: [] },
      { name: 'perm', type: Kind.INTS, i: 0n, f: 0, ints: [1n, 0n] },
    ]);
    expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ['', 17n],
      ['com.microsoft', 1n],
    ]);
  });
});

describe('tensorProto', () => {
  it('keeps the bytes of a view, not of what lies around it', () => {
    const whole = new Float32Array([9, 1, 2, 9]);
    const { rawData, dims } = tensorProto('v', tensor('float32', [2], whole.subarray(1, 3)));
    expect(dims).toEqual([2n]);
    expect([...new Float32Array(rawData.slice().buffer)]).toEqual([1, 2]);
  });

  it('stores texts as UTF-8', () => {
    const { stringData } = tensorProto('t', tensor('string', [2], ['ä', '']));
    expect(stringData.map((bytes) => [...bytes])).toEqual([[0xc3, 0xa4], []]);
  });
});

describe('codec', () => {
  it('keeps every element type through a round trip', () => {
    const builder = new GraphBuilder();
    const values: Tensor[] = [
      tensor('float32', [1], new Float32Array([1.5])),
      tensor('float64', [1], new Float64Array([1.5])),
      tensor('float16', [1], new Uint16Array([0x3e00])),
      tensor('bfloat16', [1], new Uint16Array([0x3fc0])),
      tensor('int8', [1], new Int8Array([-1])),
      tensor('uint8', [1], new Uint8Array([255])),
      tensor('int16', [1], new Int16Array([-1])),
      tensor('uint16', [1], new Uint16Array([65_535])),
      tensor('int32', [1], new Int32Array([-1])),
      tensor('uint32', [1], new Uint32Array([1])),
      tensor('int64', [1], new BigInt64Array([-1n])),
      tensor('uint64', [1], new BigUint64Array([1n])),
      tensor('bool', [1], new Uint8Array([1])),
      tensor('string', [1], ['text']),
    ];
    for (const value of values) builder.output(builder.constant(value.dtype, value), value.dtype, [1]);
    const bytes = encodeModel(builder.build({ name: 'constants' }));
    expect(encodeModel(decodeModel(bytes))).toEqual(bytes);
    const summary = inspectGraph(bytes);
    expect(summary.outputs.map(({ dtype }) => dtype)).toEqual(values.map(({ dtype }) => dtype));
    expect(summary.parameterCount).toBe(values.length);
  });
});
