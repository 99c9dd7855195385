import { adamWStep as adamWGraph, nextName, STEP_VALUES, stepTensors } from '@thalamus/autodiff';
import { OrtRuntime } from '@thalamus/inference';
import { encodeModel } from '@thalamus/onnx-graph';
import { asFloat32, createRandom, tensor } from '@thalamus/tensor';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ADAMW_DEFAULTS, adamWStep, globalNorm, initialState } from './adamw.js';

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

const GROUPS = [
  { rateFactor: 1, decay: 0.01 },
  { rateFactor: 3, decay: 0 },
] as const;
const CLIP = 1;

describe('AdamW as a graph', () => {
  it('takes the steps of AdamW over arrays', { timeout: 120_000 }, async () => {
    const shapes = fc.array(fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 3 }), {
      minLength: 1,
      maxLength: 4,
    });
    const rates = fc.array(fc.double({ min: 1e-6, max: 0.1, noNaN: true }), { minLength: 1, maxLength: 4 });
    // From far below the norm that is clipped to far above it.
    const scales = fc.constantFrom(1e-6, 0.01, 1, 1000);
    await fc.assert(
      fc.asyncProperty(shapes, rates, scales, fc.nat(), async (given, steps, scale, seed) => {
        const random = createRandom(seed);
        const parameters = new Map(
          given.map((shape, at) => {
            const size = shape.reduce((all, dim) => all * dim, 1);
            return [`p${at}`, { shape, data: Float32Array.from({ length: size }, () => random.normal()) }];
          }),
        );
        const groupOf = (name: string) => GROUPS[Number(name.slice(1)) % 2]!;
        const graph = adamWGraph(
          [...parameters].map(([name, { shape }]) => ({ name, shape, ...groupOf(name) })),
          { ...ADAMW_DEFAULTS, clipNorm: CLIP },
        );
        const session = await runtime.load({ bytes: encodeModel(graph) });
        const state = initialState(parameters);
        const kept = new Map<string, Float32Array>();
        for (const [name, { data }] of parameters) {
          const { value, first, second } = stepTensors(name);
          kept.set(value, data.slice());
          for (const moment of [first, second]) kept.set(moment, new Float32Array(data.length));
        }
        for (const [at, rate] of steps.entries()) {
          const gradients = new Map(
            [...parameters].map(([name, { data }]) => [name, data.map(() => scale * random.normal())]),
          );
          const norm = globalNorm(gradients);
          // Rounded as the graph is given it.
          const own = Math.fround(rate);
          adamWStep(parameters, state, { gradients, scale: Math.min(1, CLIP / norm), rate: own, groupOf });
          const tensors = [...parameters].flatMap(([name, { shape }]) => {
            const { value, gradient, first, second } = stepTensors(name);
            const taken = [value, first, second].map((key) => [
              key,
              tensor('float32', shape, kept.get(key)!),
            ]);
            return [...taken, [gradient, tensor('float32', shape, gradients.get(name)!)]];
          });
          const outputs = await session.run({
            ...(Object.fromEntries(tensors) as Record<string, ReturnType<typeof tensor>>),
            [STEP_VALUES.rate]: tensor('float32', [], Float32Array.of(own)),
            [STEP_VALUES.step]: tensor('int64', [], BigInt64Array.of(BigInt(at + 1))),
          });
          const out = (name: string) => asFloat32(outputs[name], name).data;
          expect(Math.abs(out(STEP_VALUES.gradientNorm)[0]! / norm - 1)).toBeLessThan(1e-6);
          for (const key of kept.keys()) kept.set(key, out(nextName(key)).slice());
          for (const [name, { data }] of parameters) {
            const found = kept.get(stepTensors(name).value)!;
            // A few roundings of float32 in the value, and as many in a step, which is at most some ten rates long.
            const off = Math.max(
              ...data.map((value, i) => Math.abs(value - found[i]!) / (1 + Math.abs(value))),
            );
            expect(off, `${name} after step ${at + 1}`).toBeLessThan(2e-6);
          }
        }
        await session.release();
      }),
      { seed: 20_261_128, numRuns: 20 },
    );
  });
});
