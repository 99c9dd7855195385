import { encodeModel, GraphBuilder } from '@thalamus/onnx-graph';
import { linearGraph, slowGraph, waitUntil } from '@thalamus/testing';
import { tensor } from '@thalamus/tensor';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { ChildProcessRuntime, type ChildProcessRuntimeOptions } from '../src/index.js';
import { EXPECTED, refusalOf, ROWS, runtimeContract } from './runtime-contract.js';

runtimeContract('a child process', () => new ChildProcessRuntime());

/** A runtime that is closed after the test, with the linear and the slow model open. */
async function opened(options: ChildProcessRuntimeOptions = {}) {
  const crashes: string[] = [];
  const runtime = new ChildProcessRuntime({
    onCrash: (reason) => crashes.push(reason),
    closeGraceMs: 0,
    ...options,
  });
  onTestFinished(() => runtime.close());
  const linear = await runtime.load({ bytes: encodeModel(linearGraph()) });
  const slow = await runtime.load({ bytes: encodeModel(slowGraph()) });
  return { runtime, linear, slow, crashes };
}

const side = (n: number) => ({ side: tensor('int64', [2], BigInt64Array.of(BigInt(n), BigInt(n))) });
/** Takes far longer than any test waits for it. */
const ENDLESS = side(9_000);
const processRuns = (pid: number) => existsSync(`/proc/${pid}`);

describe('ChildProcessRuntime', () => {
  it('fails only what was in flight when its child is killed, and goes on in a new one', async () => {
    const { runtime, linear, slow, crashes } = await opened();
    const first = runtime.pid!;
    const inFlight = [refusalOf(slow.run(ENDLESS)), refusalOf(linear.run({ x: ROWS }))];
    process.kill(first, 'SIGKILL');
    for (const refusal of await Promise.all(inFlight)) {
      expect(refusal.code).toBe('EXPERT_CRASHED');
      expect(refusal.message).toContain('SIGKILL');
    }
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
    expect((await slow.run(side(10)))['sum']?.data[0]).toBe(1_000);
    expect(runtime.pid).not.toBe(first);
    expect(runtime.crashCount).toBe(1);
    expect(crashes).toEqual(['SIGKILL']);
  });

  it('warms a new child before the next request comes', async () => {
    const { runtime } = await opened();
    const first = runtime.pid!;
    process.kill(first, 'SIGKILL');
    await waitUntil('there is a new child', () => runtime.pid !== undefined && runtime.pid !== first);
    expect(processRuns(runtime.pid!)).toBe(true);
  });

  it('keeps calls that come while the child restarts, and survives crash after crash', async () => {
    const { runtime, linear } = await opened();
    for (let round = 0; round < 3; round++) {
      const pid = runtime.pid!;
      process.kill(pid, 'SIGKILL');
      await waitUntil('the old child is gone', () => runtime.pid !== pid);
      const results = await Promise.all(Array.from({ length: 5 }, () => linear.run({ x: ROWS })));
      expect(results.map(({ y }) => [...(y!.data as Float32Array)])).toEqual(Array(5).fill(EXPECTED));
    }
    expect(runtime.crashCount).toBe(3);
  });

  it('ends a hung run at its limit, and only that child', async () => {
    const { runtime, linear, slow, crashes } = await opened();
    const first = runtime.pid!;
    const refusal = await refusalOf(slow.run(ENDLESS, { timeoutMs: 200 }));
    expect(refusal).toMatchObject({ code: 'EXPERT_CRASHED' });
    expect(refusal.message).toContain('no answer within 200 ms');
    expect(crashes).toEqual(['no answer within 200 ms']);
    await waitUntil('the hung child is gone', () => !processRuns(first));
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
  });

  it('takes no run for hung that waits behind others', async () => {
    const { slow, crashes } = await opened();
    const tookMs = [];
    for (let round = 0; round < 4; round++) {
      const startedAt = performance.now();
      await slow.run(side(1_200));
      tookMs.push(performance.now() - startedAt);
    }
    // Far more than one takes, far less than all together.
    const timeoutMs = Math.ceil(4 * Math.max(...tookMs));
    const runs = Array.from({ length: 24 }, () => slow.run(side(1_200), { timeoutMs }));
    for (const { sum } of await Promise.all(runs))
      expect(Number(sum?.data[0]) / 1_200 ** 3).toBeCloseTo(1, 1);
    expect(crashes).toEqual([]);
  });

  it('lets a caller go at its deadline and answers it at once; the child lives on', async () => {
    const { runtime, slow, linear } = await opened();
    const first = runtime.pid;
    const aborter = new AbortController();
    const refusal = refusalOf(slow.run(side(2_500), { signal: aborter.signal }));
    aborter.abort();
    expect((await refusal).code).toBe('CANCELLED');
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
    expect(runtime.pid).toBe(first);
  });

  it('fails a call on a broken channel when the end of the child is known: another try meets a new one', async () => {
    const { runtime, linear } = await opened();
    const first = runtime.pid!;
    process.kill(first, 'SIGKILL');
    // It is dead by the end of this, and nothing here has heard of it.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    expect(runtime.pid).toBe(first);
    expect((await refusalOf(linear.run({ x: ROWS }))).code).toBe('EXPERT_CRASHED');
    expect(runtime.pid).not.toBe(first);
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
  });

  it('is not put off by a child that is killed while it loads everything again', async () => {
    const { runtime, linear, slow } = await opened();
    for (let round = 0; round < 2; round++) {
      const pid = runtime.pid!;
      process.kill(pid, 'SIGKILL');
      await waitUntil('there is a new child', () => runtime.pid !== undefined && runtime.pid !== pid);
    }
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
    expect((await slow.run(side(10)))['sum']?.data[0]).toBe(1_000);
  });

  it('sets a row while the child is exchanged', async () => {
    const { runtime, slow } = await opened({ slackBytes: 0 });
    const first = runtime.pid!;
    const table = await runtime.createTable({ row: { dtype: 'float32', shape: [2] } });
    await slow.run(side(3_000));
    const values = { row: tensor('float32', [2], Float32Array.of(1, 2)) };
    let exchangeAsked = false;
    await table.set(1, async () => {
      if (!exchangeAsked) runtime.checkMemory();
      exchangeAsked = true;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return values;
    });
    // A row on its way holds the exchange up; after it the exchange comes, and the row is in the new child.
    expect(runtime.pid).toBe(first);
    runtime.checkMemory();
    await table.set(2, () => Promise.resolve(values));
    expect(runtime.pid).not.toBe(first);
    expect((await slow.run(side(10)))['sum']?.data[0]).toBe(1_000);
  });

  it('names the limit to a model that finds no memory while it is loaded', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'thalamus-runtime-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, 'model.onnx');
    const builder = new GraphBuilder();
    const size = 10_000;
    const weight = builder.constant('w', tensor('float32', [size, size], new Float32Array(size * size)));
    const x = builder.input('x', 'float32', ['batch', size]);
    builder.output(builder.node('MatMul', [x, weight], { name: 'y' }), 'float32', ['batch', size]);
    await writeFile(path, encodeModel(builder.build({ name: 'large' })));
    const { runtime, linear } = await opened({ dataLimitBytes: 600 * 2 ** 20 });
    const refusal = await refusalOf(runtime.load({ path }));
    expect(refusal.message).toContain('THALAMUS_CHILD_MEMORY_LIMIT');
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
  });

  it('serves on after a run whose sizes overflow, also when it is the first', async () => {
    const { runtime, slow } = await opened();
    const pid = runtime.pid;
    for (let round = 0; round < 2; round++) {
      const refusal = await refusalOf(slow.run(side(2_000_000_000)));
      expect(refusal).toMatchObject({ code: 'INFERENCE_FAILED' });
      expect(refusal.message).toMatch(/overflow/i);
      const runs = await Promise.all([slow.run(side(10)), slow.run(side(20))]);
      expect(runs.map(({ sum }) => sum?.data[0])).toEqual([1_000, 8_000]);
    }
    expect(runtime.pid).toBe(pid);
  });

  it('bounds the runs that wait', async () => {
    const { slow } = await opened({ maxPending: 2 });
    const waiting = [slow.run(ENDLESS), slow.run(ENDLESS)].map((run) => refusalOf(run));
    expect(await refusalOf(slow.run(ENDLESS))).toMatchObject({ code: 'EXPERT_OVERLOADED' });
    expect(waiting.length).toBe(2);
  });

  it('gives up a model that cannot be loaded again, and serves the others', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'thalamus-runtime-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, 'model.onnx');
    await writeFile(path, encodeModel(linearGraph()));
    const { runtime, linear } = await opened();
    const fromFile = await runtime.load({ path });
    await rm(path);
    const pid = runtime.pid!;
    process.kill(pid, 'SIGKILL');
    await waitUntil('the old child is gone', () => runtime.pid !== pid);
    expect((await refusalOf(fromFile.run({ x: ROWS }))).code).toBe('GRAPH_INVALID');
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
  });

  it('lets runs in flight end when it is closed, for as long as it was told', async () => {
    const { runtime, slow } = await opened({ closeGraceMs: 20_000 });
    const pid = runtime.pid!;
    const run = slow.run(side(800));
    await runtime.close();
    expect((await run)['sum']?.data[0]).toBe(800 ** 3);
    expect(processRuns(pid)).toBe(false);
  });

  it('lets runs in flight end though the clock of the machine is set meanwhile', async () => {
    const { runtime, slow } = await opened({ closeGraceMs: 60_000 });
    let clock = Date.now();
    const now = vi.spyOn(Date, 'now').mockImplementation(() => (clock += 3_600_000));
    onTestFinished(() => {
      now.mockRestore();
    });
    const run = slow.run(side(1_500));
    const closed = runtime.close();
    expect(Number((await run)['sum']?.data[0]) / 1_500 ** 3).toBeCloseTo(1, 1);
    await closed;
  });

  it('leaves no process behind when a run never ends', async () => {
    const { runtime, slow } = await opened({ closeGraceMs: 0 });
    const pid = runtime.pid!;
    const run = refusalOf(slow.run(ENDLESS));
    await runtime.close();
    expect((await run).code).toBe('EXPERT_CRASHED');
    expect(processRuns(pid)).toBe(false);
  });

  it('carries a large tensor there and back', async () => {
    const { linear } = await opened();
    const rows = 200_000;
    const x = tensor(
      'float32',
      [rows, 2],
      Float32Array.from({ length: 2 * rows }, (_, i) => i % 7),
    );
    const { y } = await linear.run({ x });
    expect(y?.shape).toEqual([rows, 3]);
    const at = 123_456;
    const [a, b] = [(2 * at) % 7, (2 * at + 1) % 7];
    expect([...(y!.data as Float32Array).subarray(3 * at, 3 * at + 3)]).toEqual([
      a + 4 * b + 1,
      2 * a + 5 * b + 1,
      3 * a + 6 * b + 1,
    ]);
  });
});
