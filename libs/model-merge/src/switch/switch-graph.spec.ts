import { ThalamusError } from '@thalamus/errors';
import { encodeModel, GraphBuilder, inspectGraph, type OnnxModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MergeParent } from '../merge-method.js';
import { createHash } from 'node:crypto';
import { buildSwitchGraph } from './switch-graph.js';
import { parentLogits, parentProbabilities } from '../heads/twin-values.js';

const WIDTH = 3;

/** embedding = the first three token ids as numbers, where attended. */
function picoBase(options: { readonly output?: string; readonly width?: number | string } = {}): OnnxModel {
  const builder = new GraphBuilder();
  const ids = builder.input('input_ids', 'int64', ['batch', 'sequence']);
  const mask = builder.input('attention_mask', 'int64', ['batch', 'sequence']);
  const product = builder.node('Mul', [
    builder.node('Cast', [ids], { attributes: { to: 1 } }),
    builder.node('Cast', [mask], { attributes: { to: 1 } }),
  ]);
  const matrix = builder.constant('matrix', tensor('float32', [1, 1], new Float32Array([1])));
  const name = options.output ?? 'embedding';
  builder.output(builder.node('Mul', [product, matrix], { name }), 'float32', [
    'batch',
    options.width ?? WIDTH,
  ]);
  return builder.build({ name: 'pico' });
}

function parent(name: string, labels: readonly string[], change: Partial<MergeParent> = {}): MergeParent {
  return {
    name,
    labels,
    head: {
      weights: new Float32Array(labels.length * WIDTH).fill(0.5),
      bias: new Float32Array(labels.length),
    },
    router: { weights: new Float32Array(WIDTH), bias: new Float32Array(1) },
    ...change,
  };
}

const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (ThalamusError.is(error)) return `${error.code}: ${error.message}`;
  }
  throw new Error('nothing was refused');
};

describe('buildSwitchGraph', () => {
  it('gives a graph that stands alone: our own inspection passes, batch and length vary, outputs are as promised', () => {
    const { model, parents, labels } = buildSwitchGraph({
      base: picoBase(),
      parents: [parent('b', ['no', 'yes']), parent('a', ['yes', 'maybe', 'other'])],
    });
    expect(parents).toEqual(['a', 'b']);
    expect(labels).toEqual(['yes', 'maybe', 'other', 'no']);
    const summary = inspectGraph(encodeModel(model));
    expect(summary.opset).toBe(21);
    expect(summary.inputs).toEqual([
      { name: 'input_ids', dtype: 'int64', shape: ['batch', 'sequence'] },
      { name: 'attention_mask', dtype: 'int64', shape: ['batch', 'sequence'] },
      { name: 'task', dtype: 'int64', shape: ['batch'] },
    ]);
    expect(summary.outputs).toEqual([
      { name: 'router_weights', dtype: 'float32', shape: ['batch', 2] },
      { name: 'parent', dtype: 'int64', shape: ['batch'] },
      { name: 'logits', dtype: 'float32', shape: ['batch', 4] },
      { name: 'scores', dtype: 'float32', shape: ['batch', 4] },
      { name: 'label', dtype: 'int64', shape: ['batch'] },
      { name: parentLogits('a'), dtype: 'float32', shape: ['batch', 3] },
      { name: parentProbabilities('a'), dtype: 'float32', shape: ['batch', 3] },
      { name: parentLogits('b'), dtype: 'float32', shape: ['batch', 2] },
      { name: parentProbabilities('b'), dtype: 'float32', shape: ['batch', 2] },
    ]);
  });

  it('makes of probes the graph that it made before there were low-rank parents, to the byte', () => {
    const { model } = buildSwitchGraph({
      base: picoBase(),
      parents: [parent('b', ['no', 'yes']), parent('a', ['yes', 'maybe', 'other'])],
    });
    expect(createHash('sha256').update(encodeModel(model)).digest('hex')).toBe(
      '707d900f4f202930039e7dfc8f3179979ca1f6a643e75f939ab7e2de19d41d2e',
    );
  });

  it('gives the same bytes whatever the order of the parents', () => {
    const parents = ['a', 'b', 'c', 'router', 'base'].map((name, index) =>
      parent(name, ['x', `own-${name}`], {
        router: { weights: new Float32Array(WIDTH).fill(index), bias: new Float32Array([index]) },
      }),
    );
    const expected = encodeModel(buildSwitchGraph({ base: picoBase(), parents }).model);
    fc.assert(
      fc.property(fc.shuffledSubarray(parents, { minLength: parents.length }), (shuffled) => {
        expect(encodeModel(buildSwitchGraph({ base: picoBase(), parents: shuffled }).model)).toEqual(
          expected,
        );
      }),
      { seed: 11, numRuns: 30 },
    );
  });

  it('refuses parents that do not fit', () => {
    const base = picoBase();
    const build = (...parents: MergeParent[]) => refusal(() => buildSwitchGraph({ base, parents }));
    expect(build()).toBe('COMPOSITION_REFUSED: There is no parent; name at least one.');
    expect(build(parent('a', ['x', 'y']), parent('a', ['x', 'z']))).toContain('a is a parent twice');
    expect(build(parent('a', ['x', 'x']))).toContain('a has a label twice');
    const narrow = { weights: new Float32Array(4), bias: new Float32Array(2) };
    expect(build(parent('a', ['x', 'y'], { head: narrow }))).toContain(
      'The head of a has 4 weights and 2 biases where 2 x 3 and 2 are needed',
    );
    const broken = { weights: new Float32Array(WIDTH).fill(NaN), bias: new Float32Array(1) };
    expect(build(parent('a', ['x', 'y'], { router: broken }))).toContain(
      'router of a holds numbers that are not finite',
    );
  });

  it('refuses bases of another shape', () => {
    const parents = [parent('a', ['x', 'y'])];
    const build = (base: OnnxModel) => refusal(() => buildSwitchGraph({ base, parents }));
    expect(build(picoBase({ output: 'hidden' }))).toContain(
      'GRAPH_INVALID: The base has no output "embedding"',
    );
    expect(build(picoBase({ width: 'width' }))).toContain('no output "embedding" of a fixed width');
    const other = new GraphBuilder();
    other.output(
      other.node('Identity', [other.input('tokens', 'int64', ['batch'])], { name: 'embedding' }),
      'int64',
      [3],
    );
    expect(build(other.build({ name: 'other' }))).toContain('The base takes tokens');
    const old = picoBase();
    old.opsetImport[0]!.version = 11n;
    expect(build(old)).toContain('operator set 11');
    const branching = picoBase();
    const [first] = branching.graph!.node;
    first!.attribute.push({ ...first!.attribute[0]!, g: branching.graph! });
    expect(build(branching)).toContain('graphs of their own');
  });
});
