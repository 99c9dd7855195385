import { ThalamusError } from '@thalamus/errors';
import { tensor } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildBertEncoder, type BertConfig, type Weights } from './bert-encoder.js';
import { GraphBuilder } from './graph-builder.js';
import { inspectGraph } from './inspect-graph.js';
import { decodeModel, encodeModel } from './onnx-model.js';

const RUNS = { seed: 20_261_125, numRuns: 400 };

/** What inspecting gives: accepted, or the code of the refusal; any other fault ends the test. */
function verdict(bytes: Uint8Array): string {
  try {
    inspectGraph(bytes);
    return 'accepted';
  } catch (error) {
    if (ThalamusError.is(error)) return error.code;
    throw error;
  }
}

const config: BertConfig = { hiddenSize: 8, layers: 1, heads: 2, maxPositions: 6, layerNormEpsilon: 1e-12 };

function tinyWeights(): Weights {
  const names = [
    'attention.self.query',
    'attention.self.key',
    'attention.self.value',
    'attention.output.dense',
  ];
  const zeros = (...shape: number[]) =>
    tensor('float32', shape, new Float32Array(shape.reduce((product, size) => product * size, 1)));
  const entries: [string, ReturnType<typeof zeros>][] = [
    ['embeddings.word_embeddings.weight', zeros(5, 8)],
    ['embeddings.position_embeddings.weight', zeros(6, 8)],
    ['embeddings.token_type_embeddings.weight', zeros(2, 8)],
    ['encoder.layer.0.intermediate.dense.weight', zeros(16, 8)],
    ['encoder.layer.0.intermediate.dense.bias', zeros(16)],
    ['encoder.layer.0.output.dense.weight', zeros(8, 16)],
    ['encoder.layer.0.output.dense.bias', zeros(8)],
  ];
  for (const name of names)
    entries.push([`encoder.layer.0.${name}.weight`, zeros(8, 8)], [`encoder.layer.0.${name}.bias`, zeros(8)]);
  for (const norm of ['embeddings', 'encoder.layer.0.attention.output', 'encoder.layer.0.output'])
    entries.push([`${norm}.LayerNorm.weight`, zeros(8)], [`${norm}.LayerNorm.bias`, zeros(8)]);
  return new Map(entries);
}

const sound = encodeModel(buildBertEncoder(config, tinyWeights(), { kind: 'int8', blockSize: 8 }));

describe('inspectGraph on foreign bytes', () => {
  it('accepts the model that the mutations start from', () => {
    expect(verdict(sound)).toBe('accepted');
  });

  it('gives a verdict on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        expect(verdict(bytes)).toBe('GRAPH_INVALID');
      }),
      RUNS,
    );
  });

  it('gives a verdict on a sound model with bytes changed, cut out or put in', () => {
    const edit = fc.record({
      at: fc.nat(sound.length - 1),
      drop: fc.nat(8),
      put: fc.uint8Array({ maxLength: 8 }),
    });
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let bytes = [...sound];
        for (const { at, drop, put } of edits)
          bytes = [...bytes.slice(0, at), ...put, ...bytes.slice(at + drop)];
        seen.add(verdict(Uint8Array.from(bytes)));
      }),
      RUNS,
    );
    expect([...seen].sort()).toEqual(['GRAPH_INVALID', 'accepted']);
  });

  it('gives a verdict on a sound model cut anywhere', () => {
    fc.assert(
      fc.property(fc.nat(sound.length - 1), (length) => {
        expect(verdict(sound.subarray(0, length))).toBe('GRAPH_INVALID');
      }),
      RUNS,
    );
  });
});

describe('codec', () => {
  it('keeps random graphs byte for byte, and counts what they hold', () => {
    const step = fc.record({
      operator: fc.constantFrom('Add', 'Relu', 'MatMul', 'Concat'),
      inputs: fc.array(fc.nat(), { minLength: 1, maxLength: 3 }),
      constant: fc.array(fc.float({ noNaN: true }), { maxLength: 5 }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const builder = new GraphBuilder();
        const made = [builder.input('x', 'float32', ['batch', 3])];
        for (const { operator, inputs, constant } of steps) {
          const data = new Float32Array(constant);
          made.push(builder.constant('c', tensor('float32', [data.length], data)));
          made.push(
            builder.node(
              operator,
              inputs.map((index) => made[index % made.length]!),
            ),
          );
        }
        builder.output(made.at(-1)!, 'float32', ['batch']);
        const bytes = encodeModel(builder.build({ name: 'random' }));
        expect(encodeModel(decodeModel(bytes))).toEqual(bytes);
        expect(inspectGraph(bytes)).toMatchObject({
          nodeCount: steps.length,
          parameterCount: steps.reduce((sum, { constant }) => sum + constant.length, 0),
        });
      }),
      { ...RUNS, numRuns: 100 },
    );
  });
});
