import { encodeModel, GraphBuilder } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { InferenceChild } from '../src/inference-child.js';
import { refusalOf } from './runtime-contract.js';

/** y = x + a constant that takes far longer to compute than any test waits: ONNX Runtime computes it while it loads the graph. */
function endlessGraph(): Uint8Array {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'float32', ['n']);
  const side = builder.constant('side', tensor('int64', [2], BigInt64Array.of(3_000n, 3_000n)));
  const half = builder.node('ConstantOfShape', [side]);
  const one = builder.constant('one', tensor('float32', [], Float32Array.of(1)));
  let product = builder.node('Add', [half, one]);
  for (let round = 0; round < 2_000; round++) product = builder.node('MatMul', [product, product]);
  const sum = builder.node('ReduceSum', [product], { attributes: { keepdims: 0 } });
  builder.output(builder.node('Add', [x, sum], { name: 'y' }), 'float32', ['n']);
  return encodeModel(builder.build({ name: 'endless' }));
}

describe('a graph that never ends while it is loaded', () => {
  it('is given up at its limit, and its process with it', async () => {
    let reason = '';
    const child = new InferenceChild((why) => (reason = why));
    const source = { bytes: endlessGraph() };
    const load = child.ask('loaded', { kind: 'load', session: 1, source, options: {} }, 2_000);
    const refusal = await refusalOf(load);
    expect(refusal).toMatchObject({ code: 'EXPERT_CRASHED' });
    expect(refusal.message).toContain('did not load the model within 2000 ms');
    expect(reason).toBe('no answer within 2000 ms');
  });
});
