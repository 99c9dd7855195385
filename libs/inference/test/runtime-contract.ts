import { ThalamusError } from '@thalamus/errors';
import { encodeModel, GraphBuilder } from '@thalamus/onnx-graph';
import { linearGraph, slowGraph } from '@thalamus/testing';
import { tensor, type DataType, type Tensor, type TensorData } from '@thalamus/tensor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Feeds, InferenceRuntime } from '../src/index.js';

/** Code and faulty fields of a refusal. */
export async function refusalOf(
  work: Promise<unknown>,
): Promise<{ code: string; message: string; fields: string[] }> {
  try {
    await work;
  } catch (error) {
    if (ThalamusError.is(error))
      return { code: error.code, message: error.message, fields: error.violations.map(({ field }) => field) };
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Rows for the linear graph, and what it gives for them. */
export const ROWS = tensor('float32', [2, 2], new Float32Array([1, 0, 2, 3]));
export const EXPECTED = [2, 3, 4, 15, 20, 25];

const VALUES: { [T in Exclude<DataType, 'bfloat16'>]: TensorData[T] } = {
  float32: new Float32Array([1.5, -0]),
  float64: new Float64Array([1e300, NaN]),
  float16: new Uint16Array([0x3c00, 0xfbff]),
  int8: new Int8Array([-128, 127]),
  uint8: new Uint8Array([0, 255]),
  int16: new Int16Array([-32_768, 32_767]),
  uint16: new Uint16Array([0, 65_535]),
  int32: new Int32Array([-(2 ** 31), 2 ** 31 - 1]),
  uint32: new Uint32Array([0, 2 ** 32 - 1]),
  int64: new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n]),
  uint64: new BigUint64Array([0n, 2n ** 64n - 1n]),
  bool: new Uint8Array([0, 1]),
  string: ['', 'ä🙂'],
};

/** What every runtime promises. */
export function runtimeContract(name: string, make: () => InferenceRuntime): void {
  describe(`${name} as a runtime`, () => {
    let runtime: InferenceRuntime;
    beforeAll(() => {
      runtime = make();
    });
    afterAll(() => runtime.close());

    const linear = () => runtime.load({ bytes: encodeModel(linearGraph()) });

    it('feeds a run from a table, whose rows come and go between runs', async () => {
      const builder = new GraphBuilder();
      const row = builder.input('row', 'int32', ['batch']);
      const stack = builder.input('stack', 'float32', ['rows', 2]);
      builder.output(builder.node('Gather', [stack, row], { name: 'picked' }), 'float32', ['batch', 2]);
      const session = await runtime.load({ bytes: encodeModel(builder.build({ name: 'pick' })) });
      const table = await runtime.createTable({ stack: { dtype: 'float32', shape: [2] } });
      const put = (at: number, ...values: number[]) =>
        table.set(at, () => Promise.resolve({ stack: tensor('float32', [2], new Float32Array(values)) }));
      const pick = async (...rows: number[]) => {
        const feeds = { row: tensor('int32', [rows.length], Int32Array.from(rows)) };
        const { picked } = await session.run(feeds, { tables: [table] });
        return [...(picked?.data as Float32Array)];
      };
      expect(await pick(0)).toEqual([0, 0]);
      await put(1, 1, 2);
      for (let at = 2; at <= 20; at++) await put(at, at, -at);
      expect(await pick(20, 1, 0, 7)).toEqual([20, -20, 1, 2, 0, 0, 7, -7]);
      table.clear(1);
      await put(1, 5, 6);
      expect(await pick(1, 20)).toEqual([5, 6, 20, -20]);
      expect(await refusalOf(put(1, 5, 6, 7))).toMatchObject({ code: 'TENSOR_INVALID' });
      expect(await refusalOf(put(0, 5, 6))).toMatchObject({ code: 'TENSOR_INVALID' });
      const foreign = { other: tensor('float32', [2], new Float32Array(2)) };
      expect(await refusalOf(table.set(1, () => Promise.resolve(foreign)))).toMatchObject({
        fields: ['other'],
      });
      expect(await pick(1)).toEqual([5, 6]);
      expect((await refusalOf(session.run({ row: tensor('int32', [1], new Int32Array(1)) }))).fields).toEqual(
        ['stack'],
      );
      await table.release();
      await table.release();
      expect(await refusalOf(pick(1))).toMatchObject({ code: 'EXPERT_NOT_READY' });
      await session.release();
    });

    it('describes and runs a model', async () => {
      const session = await linear();
      expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['batch', 2] }]);
      expect(session.outputs).toEqual([{ name: 'y', dtype: 'float32', shape: ['batch', 3] }]);
      const { y } = await session.run({ x: ROWS });
      expect(y).toEqual({ dtype: 'float32', shape: [2, 3], data: new Float32Array(EXPECTED) });
    });

    it('answers many runs at once, each with its own result', async () => {
      const session = await linear();
      const runs = Array.from({ length: 50 }, (_, i) =>
        session.run({ x: tensor('float32', [1, 2], new Float32Array([i, 0])) }),
      );
      const results = (await Promise.all(runs)).map(({ y }) => [
        ...(y as Tensor & { data: Float32Array }).data,
      ]);
      expect(results).toEqual(runs.map((_, i) => [i + 1, 2 * i + 1, 3 * i + 1]));
    });

    it.each(Object.keys(VALUES) as (keyof typeof VALUES)[])(
      'carries %s both ways, bit for bit',
      async (dtype) => {
        const builder = new GraphBuilder();
        builder.input('x', dtype, [2]);
        builder.output(builder.node('Identity', ['x'], { name: 'y' }), dtype, [2]);
        const session = await runtime.load({ bytes: encodeModel(builder.build({ name: dtype })) });
        const value = { dtype, shape: [2], data: VALUES[dtype] } as Tensor;
        expect((await session.run({ x: value }))['y']).toEqual(value);
        await session.release();
      },
    );

    it('takes views into larger buffers', async () => {
      const whole = new Float32Array([9, 9, 1, 0, 2, 3, 9]);
      const { y } = await (await linear()).run({ x: tensor('float32', [2, 2], whole.subarray(2, 6)) });
      expect(y?.data).toEqual(new Float32Array(EXPECTED));
    });

    it('takes empty batches', async () => {
      const { y } = await (await linear()).run({ x: tensor('float32', [0, 2], new Float32Array(0)) });
      expect(y?.shape).toEqual([0, 3]);
    });

    it('refuses feeds that do not fit, naming the input', async () => {
      const session = await linear();
      const cases: [Feeds, string[], RegExp][] = [
        [{}, ['x'], /Input x is missing/],
        [{ x: tensor('float64', [1, 2], new Float64Array(2)) }, ['x'], /must be float32, but float64/],
        [{ x: tensor('float32', [1, 3], new Float32Array(3)) }, ['x'], /shape \[batch, 2\], but \[1, 3\]/],
        [{ x: tensor('float32', [2], new Float32Array(2)) }, ['x'], /shape/],
        [{ x: ROWS, z: ROWS }, ['z'], /no input z; it has x/],
      ];
      for (const [feeds, fields, message] of cases) {
        const refusal = await refusalOf(session.run(feeds));
        expect(refusal).toMatchObject({ code: 'TENSOR_INVALID', fields });
        expect(refusal.message).toMatch(message);
      }
      expect(await refusalOf(session.run({ x: ROWS }, { outputs: ['q'] }))).toMatchObject({
        code: 'TENSOR_INVALID',
        fields: ['q'],
      });
      const lying = { dtype: 'float32', shape: [2, 2], data: new Float32Array(3) } as const;
      expect((await refusalOf(session.run({ x: lying }))).code).toBe('TENSOR_INVALID');
      expect((await session.run({ x: ROWS }))['y']?.shape).toEqual([2, 3]);
    });

    it('refuses what is no model, and reports what a model fails with', async () => {
      expect((await refusalOf(runtime.load({ bytes: new Uint8Array([1, 2, 3]) }))).code).toBe(
        'GRAPH_INVALID',
      );
      expect((await refusalOf(runtime.load({ path: '/nowhere/model.onnx' }))).code).toBe('GRAPH_INVALID');
      const session = await runtime.load({ bytes: encodeModel(slowGraph()) });
      const negative = tensor('int64', [2], BigInt64Array.of(-5n, 3n));
      expect((await refusalOf(session.run({ side: negative }))).code).toBe('INFERENCE_FAILED');
      const side = tensor('int64', [2], BigInt64Array.of(10n, 10n));
      expect((await session.run({ side }))['sum']?.data[0]).toBe(1_000);
    });

    it('runs nothing for a caller that has gone', async () => {
      const session = await linear();
      expect((await refusalOf(session.run({ x: ROWS }, { signal: AbortSignal.abort() }))).code).toBe(
        'CANCELLED',
      );
      const late = AbortSignal.abort(new ThalamusError('DEADLINE_EXCEEDED', 'too late'));
      expect((await refusalOf(session.run({ x: ROWS }, { signal: late }))).code).toBe('DEADLINE_EXCEEDED');
    });

    it('runs nothing after a release, which may come twice', async () => {
      const session = await linear();
      await session.release();
      await session.release();
      expect((await refusalOf(session.run({ x: ROWS }))).code).toBe('EXPERT_NOT_READY');
    });

    it('opens and runs nothing after close, which may come twice', async () => {
      const closed = make();
      const session = await closed.load({ bytes: encodeModel(linearGraph()) });
      await closed.close();
      await closed.close();
      expect((await refusalOf(session.run({ x: ROWS }))).code).toBe('EXPERT_NOT_READY');
      expect((await refusalOf(closed.load({ bytes: encodeModel(linearGraph()) }))).code).toBe(
        'EXPERT_NOT_READY',
      );
    });
  });
}
