import { describe, expect, it } from 'vitest';
import { startStaticMerge } from '../static/static-merge.js';
import { staticMethod } from '../static/static-methods.js';
import { parseRecipeDocument } from './parse-recipe-document.js';
import { recipeParameters } from './recipe-parameters.js';

const parametersOf = (text: string, layers: number) => {
  const document = parseRecipeDocument(text);
  return recipeParameters(staticMethod(document.method), document, layers);
};

const at = (given: ReturnType<typeof parametersOf>, tensor: string) =>
  typeof given === 'function' ? given(tensor) : given;

const GRADED = `
merge_method: task_arithmetic
base_model: base
models:
  - model: a
    parameters:
      weight:
        - filter: attention
          value: [0, 1]
        - filter: head
          value: 7
  - model: b@2
parameters:
  weight: [0, 0.5, 0.3, 1]
  normalize: [true, false]
`;

describe('parameters of a recipe', () => {
  it('are the same for all tensors where nothing varies', () => {
    const given = parametersOf(
      'merge_method: dare_ties\nbase_model: base\nparameters: {weight: 0.4, density: 0.2, seed: 5}\nmodels: [{model: a}, {model: b, parameters: {density: 0.1}}]',
      6,
    );
    expect(given).toEqual({
      shared: { seed: 5 },
      parents: [
        { name: 'a', parameters: { weight: 0.4, density: 0.2 } },
        { name: 'b', parameters: { weight: 0.4, density: 0.1 } },
      ],
    });
  });

  it.each([
    // As mergekit 0.1.5's evaluate_setting gives with t = layer / (layers - 1), and 0 outside layers.
    ['embeddings.weight', 0, 0, true],
    ['encoder.layer.0.output.weight', 0, 0, true],
    ['encoder.layer.1.output.weight', 0.3, 0.3, true],
    ['encoder.layer.5.output.weight', 1, 1, false],
    ['encoder.layer.5.attention.weight', 1, 1, false],
    ['encoder.layer.2.attention.weight', 0.4, 0.46, true],
    ['head.weight', 7, 0, true],
  ])('of %s: gradient, filter and what a model says first', (tensor, a, b, normalize) => {
    const { shared, parents } = at(parametersOf(GRADED, 6), tensor);
    const weights = parents.map(({ parameters }) => parameters?.['weight'] as number);
    expect(weights[0]).toBeCloseTo(a, 12);
    expect(weights[1]).toBeCloseTo(b, 12);
    expect(shared?.['normalize']).toBe(normalize);
    expect(parents.map(({ name }) => name)).toEqual(['a', 'b@2']);
  });

  it('lead to a merge', () => {
    const merge = startStaticMerge(staticMethod('task_arithmetic'), parametersOf(GRADED, 2));
    const group = (name: string) => ({
      name,
      dims: [1],
      base: Float32Array.of(1),
      parents: [
        { name: 'a', data: Float32Array.of(2) },
        { name: 'b@2', data: Float32Array.of(5) },
      ],
    });
    expect(merge.merge(group('layers.1.attention.weight'))[0]).toBe(1 + 1 + 4);
    expect(merge.merge(group('layers.1.mlp.weight'))[0]).toBe(1 + 1 + 4);
    expect(merge.merge(group('head'))[0]).toBe(1 + (7 * 1 + 0 * 4) / 7);
  });
});
