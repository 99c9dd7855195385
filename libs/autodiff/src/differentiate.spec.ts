import { GraphBuilder } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { differentiate } from './differentiate.js';

describe('differentiate refuses', () => {
  it('names node and operator that it has no rule for', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [2], new Float32Array(2)));
    b.output(b.node('Cosh', [x], { name: 'y' }), 'float32', [2]);
    expect(() => differentiate(b.build({ name: 'odd' }), { loss: 'y', trainable: ['x'] })).toThrow(
      /Node Cosh_0 uses the operator Cosh, which has no gradient/,
    );
  });

  it('refuses a further output of a node that the loss uses', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [2, 3], new Float32Array(6)));
    const gain = b.constant('gain', tensor('float32', [3], new Float32Array(3)));
    const [y = '', mean = ''] = b.nodeWithOutputs('LayerNormalization', [x, gain], ['y', 'mean']);
    const sum = b.node('ReduceSum', [b.node('Add', [y, mean])], { name: 'z', attributes: { keepdims: 0 } });
    b.output(sum, 'float32', []);
    expect(() => differentiate(b.build({ name: 'm' }), { loss: 'z', trainable: ['x'] })).toThrow(
      /LayerNormalization_0 \(LayerNormalization\) is used by its further output mean/,
    );
  });

  it('refuses a trained value that is cast to another float type', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [], new Float32Array(1)));
    const wide = b.node('Cast', [x], { attributes: { to: 11 } });
    b.output(b.node('Cast', [wide], { name: 'y', attributes: { to: 1 } }), 'float32', []);
    expect(() => differentiate(b.build({ name: 'm' }), { loss: 'y', trainable: ['x'] })).toThrow(
      /Cast_0 \(Cast\) turns a trained value into element type 11/,
    );
  });

  it('refuses what the loss does not depend on, and what is no float32 constant', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [], new Float32Array(1)));
    b.constant('unused', tensor('float32', [], new Float32Array(1)));
    b.output(b.node('Neg', [x], { name: 'y' }), 'float32', []);
    const model = b.build({ name: 'm' });
    expect(() => differentiate(model, { loss: 'y', trainable: ['unused'] })).toThrow(/does not depend/);
    expect(() => differentiate(model, { loss: 'y', trainable: ['x', 'unused'] })).toThrow(
      /does not depend on unused/,
    );
    expect(() => differentiate(model, { loss: 'y', trainable: ['z'] })).toThrow(
      /z is no float32 or float64 constant/,
    );
  });

  it('trainables of two types, none at all, and an old operator set', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [], new Float32Array(1)));
    b.constant('wide', tensor('float64', [], new Float64Array(1)));
    b.output(b.node('Neg', [x], { name: 'y' }), 'float32', []);
    const model = b.build({ name: 'm' });
    expect(() => differentiate(model, { loss: 'y', trainable: ['x', 'wide'] })).toThrow(
      /wide is float64, x is float32/,
    );
    expect(() => differentiate(model, { loss: 'y', trainable: [] })).toThrow(/name at least one constant/);
    const old = b.build({ name: 'm', opset: 17 });
    expect(() => differentiate(old, { loss: 'y', trainable: ['x'] })).toThrow(/uses operator set 17/);
  });

  it('forms of an operator that have no gradient, naming the node', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [2, 2], new Float32Array(4)));
    const at = b.constant('at', tensor('int64', [1, 1], new BigInt64Array(1)));
    const updates = b.constant('updates', tensor('float32', [1, 2], new Float32Array(2)));
    const of = (result: string) => {
      const loss = b.node('ReduceSum', [result], { attributes: { keepdims: 0 } });
      return () => differentiate(b.build({ name: 'm' }), { loss, trainable: ['x'] });
    };
    const scattered = b.node('ScatterND', [x, at, updates], { attributes: { reduction: 'mul' } });
    expect(of(scattered)).toThrow(/ScatterND_0 \(ScatterND\) has the reduction mul/);
    const old = b.node('ReduceMax', [x], { attributes: { axes: [0] } });
    expect(of(old)).toThrow(/ReduceMax_2 \(ReduceMax\) names its axes as an attribute/);
    const unknown = b.node('BiasGelu', [x], { domain: 'com.microsoft' });
    expect(of(unknown)).toThrow(/BiasGelu_4 uses the operator com.microsoft.BiasGelu/);
  });
});
