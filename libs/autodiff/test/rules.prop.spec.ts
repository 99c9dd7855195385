import { GraphBuilder, graphOf } from '@thalamus/onnx-graph';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DIFFERENTIABLE_OPERATORS } from '../src/index.js';
import { ELEMENTWISE_CASES } from './cases/elementwise-cases.js';
import { INDEXING_CASES } from './cases/indexing-cases.js';
import { LAYER_CASES } from './cases/layer-cases.js';
import { STRUCTURE_CASES } from './cases/structure-cases.js';
import { CaseWriter, checkGradients } from './central-differences.js';

const CASES = [...ELEMENTWISE_CASES, ...LAYER_CASES, ...STRUCTURE_CASES, ...INDEXING_CASES];
const SEED = 20_261_128;

describe('differentiate', () => {
  it.each(CASES)(
    '$name: every gradient equals central differences',
    { timeout: 120_000 },
    async ({ instances }) => {
      await fc.assert(fc.asyncProperty(instances, fc.nat({ max: 1000 }), checkGradients), {
        seed: SEED,
        numRuns: 12,
      });
    },
  );

  it('every rule has a case', () => {
    const used = new Set<string>();
    for (const { instances } of CASES) {
      for (const { shapes, write, only } of fc.sample(instances, { seed: SEED, numRuns: 20 })) {
        const w = new CaseWriter(new GraphBuilder(), only ?? 'float64');
        write(
          w,
          shapes.map((shape, at) => w.builder.input(`x${at}`, w.elementType, shape)),
        );
        for (const { opType } of graphOf(w.builder.build({ name: 'case' })).node) used.add(opType);
      }
    }
    expect(DIFFERENTIABLE_OPERATORS.filter((operator) => !used.has(operator))).toEqual([]);
  });
});
