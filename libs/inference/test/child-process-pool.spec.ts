import { encodeModel, GraphBuilder } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { linearGraph, slowGraph, waitUntil } from '@thalamus/testing';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ChildProcessPool, type ChildProcessPoolOptions } from '../src/index.js';
import { EXPECTED, refusalOf, ROWS } from './runtime-contract.js';

const MEBIBYTE = 2 ** 20;
const side = (n: number) => ({ side: tensor('int64', [2], BigInt64Array.of(BigInt(n), BigInt(n))) });

function poolOf(options: ChildProcessPoolOptions = {}): ChildProcessPool {
  const pool = new ChildProcessPool({ closeGraceMs: 0, ...options });
  onTestFinished(() => pool.close());
  return pool;
}

const loadLinear = (pool: ChildProcessPool) =>
  pool.open('linear').load({ bytes: encodeModel(linearGraph()) });
const loadSlow = (pool: ChildProcessPool) => pool.open('slow').load({ bytes: encodeModel(slowGraph()) });
const childrenOf = (pid: number) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
const nameOf = (pid: number) =>
  readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean).at(-1);
const pidOf = (pool: ChildProcessPool, name: string) =>
  pool.processes.find((process) => process.name === name)?.pid;

describe('ChildProcessPool', () => {
  it('gives models processes of their own: one that is struck is nothing to the other', async () => {
    const crashes: string[][] = [];
    const pool = poolOf({ onCrash: (name, reason) => crashes.push([name, reason]) });
    const [linear, slow] = await Promise.all([loadLinear(pool), loadSlow(pool)]);
    const run = refusalOf(slow.run(side(9_000)));
    const pid = pidOf(pool, 'linear');
    process.kill(pidOf(pool, 'slow')!, 'SIGKILL');
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
    expect((await run).code).toBe('EXPERT_CRASHED');
    expect(pidOf(pool, 'linear')).toBe(pid);
    await waitUntil('the end was told', () => crashes.length > 0);
    expect(crashes).toEqual([['slow', 'SIGKILL']]);
  });

  it('ends a process with the last model in it, and one whose model cannot be loaded', async () => {
    const pool = poolOf();
    const linear = await loadLinear(pool);
    const pid = pidOf(pool, 'linear')!;
    await linear.release();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    const broken = refusalOf(pool.open('broken').load({ bytes: Uint8Array.of(1, 2, 3) }));
    expect((await broken).code).toBe('GRAPH_INVALID');
    expect(pool.processes).toEqual([]);
  });

  it('lets a model that takes memory without end fail alone, at the limit of its process', async () => {
    const pool = poolOf({ dataLimitBytes: 1_200 * MEBIBYTE });
    const [linear, slow] = await Promise.all([loadLinear(pool), loadSlow(pool)]);
    // Each of its tensors would take 3.6 GB.
    const refusal = await refusalOf(slow.run(side(30_000)));
    expect(['INFERENCE_FAILED', 'EXPERT_CRASHED']).toContain(refusal.code);
    expect((await slow.run(side(10)))['sum']?.data[0]).toBe(1_000);
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
  });

  it('exchanges a process that keeps memory which nothing in it needs; no run is lost', async () => {
    const recycled: string[] = [];
    const pool = poolOf({
      slackBytes: 80 * MEBIBYTE,
      checkMs: 50,
      onRecycle: ({ name }) => recycled.push(name),
    });
    const [linear, slow] = await Promise.all([loadLinear(pool), loadSlow(pool)]);
    const pids = { linear: pidOf(pool, 'linear'), slow: pidOf(pool, 'slow') };
    // What this run takes stays in the arena of its session: two tensors of 64 MB.
    expect((await slow.run(side(4_000)))['sum']).toBeDefined();
    const runs = Array.from({ length: 20 }, () => slow.run(side(64)));
    await waitUntil('the process was exchanged', () => recycled.length > 0);
    runs.push(slow.run(side(64)));
    for (const { sum } of await Promise.all(runs)) expect(sum?.data[0]).toBe(64 ** 3);
    expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
    expect(recycled).toEqual(['slow']);
    expect(pidOf(pool, 'slow')).not.toBe(pids.slow);
    expect(pidOf(pool, 'linear')).toBe(pids.linear);
  });

  it('loads everything anew when sessions are to be made in another way; no run is lost', async () => {
    let threads = 1;
    const recycled: string[] = [];
    const pool = poolOf({
      session: () => ({ threads }),
      checkMs: 50,
      onRecycle: ({ name }, reason) => recycled.push(`${name}: ${reason}`),
    });
    const linear = await loadLinear(pool);
    const threadsOf = (pid: number | undefined) => readdirSync(`/proc/${pid}/task`).length;
    const pid = pidOf(pool, 'linear');
    const before = threadsOf(pid);
    threads = 4;
    pool.loadAnew();
    const answers = await Promise.all(Array.from({ length: 5 }, () => linear.run({ x: ROWS })));
    for (const { y } of answers) expect(y?.data).toEqual(new Float32Array(EXPECTED));
    expect(recycled).toEqual(['linear: session-options']);
    expect(pidOf(pool, 'linear')).not.toBe(pid);
    expect(threadsOf(pidOf(pool, 'linear'))).toBe(before + 3);
  });

  describe('a graph that more runs wait for than one process can take', () => {
    const pressed = async (pool: ChildProcessPool, slow: { readonly lanes: number; press(): void }) => {
      await waitUntil('a second process has everything', () => {
        slow.press();
        return slow.lanes === 2;
      });
      return pool.processes.map(({ pid }) => pid!);
    };

    it('gets a second process, which answers as the first does and is given what changes', async () => {
      const pool = poolOf({ children: () => 2 });
      const runtime = pool.open('both');
      const slow = await runtime.load({ bytes: encodeModel(slowGraph()) });
      expect(slow.lanes).toBe(1);
      slow.press();
      expect(pool.processes).toHaveLength(1);
      const pids = await pressed(pool, slow);
      expect(new Set(pids).size).toBe(2);
      const linear = await runtime.load({ bytes: encodeModel(linearGraph()) });
      const runs = Array.from({ length: 8 }, () => slow.run(side(64)));
      for (const { sum } of await Promise.all(runs)) expect(sum?.data[0]).toBe(64 ** 3);
      await waitUntil('the second process has the second model', () => slow.lanes === 2);
      const answers = await Promise.all(Array.from({ length: 8 }, () => linear.run({ x: ROWS })));
      for (const { y } of answers) expect(y?.data).toEqual(new Float32Array(EXPECTED));
      await Promise.all([slow.release(), linear.release()]);
      await waitUntil('both ended', () => pids.every((pid) => !existsSync(`/proc/${pid}`)));
    });

    it('answers on when one of them is killed, and loses only what ran in it', async () => {
      const crashes: string[] = [];
      const pool = poolOf({ children: () => 2, onCrash: (name) => crashes.push(name) });
      const slow = await pool.open('slow').load({ bytes: encodeModel(slowGraph()) });
      const [first, second] = await pressed(pool, slow);
      process.kill(second!, 'SIGKILL');
      await waitUntil('the end of the second was told', () => crashes.length === 1);
      expect(slow.lanes).toBe(1);
      expect((await slow.run(side(64)))['sum']?.data[0]).toBe(64 ** 3);
      expect(pidOf(pool, 'slow')).toBe(first);
    });

    it('has one process only where no more are allowed', async () => {
      const pool = poolOf({ children: () => 1 });
      const slow = await pool.open('slow').load({ bytes: encodeModel(slowGraph()) });
      const until = performance.now() + 1_000;
      await waitUntil('a second of pressing', () => {
        slow.press();
        return performance.now() > until;
      });
      expect(pool.processes).toHaveLength(1);
    });
  });

  it('leaves a process alone that has no more than its model brought', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'thalamus-pool-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, 'model.onnx');
    // 8 MB of file, 400 MB once it is loaded: the constant is unfolded.
    const builder = new GraphBuilder();
    const seed = builder.constant('seed', tensor('float32', [1, 2_000_000], new Float32Array(2_000_000)));
    const parts = Array.from({ length: 50 }, () => seed);
    const weight = builder.node('Concat', parts, { attributes: { axis: 0 } });
    const x = builder.input('x', 'float32', ['batch', 50]);
    const product = builder.node('MatMul', [x, weight]);
    builder.output(
      builder.node('ReduceSum', [product], { name: 'y', attributes: { keepdims: 0 } }),
      'float32',
      [],
    );
    await writeFile(path, encodeModel(builder.build({ name: 'unfolded' })));
    const recycled: string[] = [];
    const pool = poolOf({
      slackBytes: 120 * MEBIBYTE,
      checkMs: 20,
      onRecycle: ({ name }) => recycled.push(name),
    });
    const unfolded = await pool.open('unfolded').load({ path });
    const feeds = { x: tensor('float32', [1, 50], new Float32Array(50)) };
    for (let round = 0; round < 20; round++) {
      expect((await unfolded.run(feeds))['y']?.data[0]).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const { residentBytes = 0, openBytes = 0 } = pool.processes[0] ?? {};
    expect(residentBytes).toBeGreaterThan(2 * openBytes + 120 * MEBIBYTE);
    expect(recycled).toEqual([]);
  });

  it('starts a process ahead while models come and go, gives it to the next, and ends it when none comes', async () => {
    const pool = poolOf({ spareMs: 3_000 });
    await loadLinear(pool);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(pool.spareBytes).toBe(0);
    const first = await loadSlow(pool);
    await first.release();
    await loadSlow(pool);
    await waitUntil('there is a spare', () => pool.spareBytes > 0);
    const before = childrenOf(process.pid);
    const names = () => pool.processes.map(({ name }) => name);
    expect(names()).toEqual(['linear', 'slow']);
    const spare = before.filter((pid) => !pool.processes.some((process) => process.pid === pid));
    expect(spare).toHaveLength(1);
    const third = await pool.open('third').load({ bytes: encodeModel(linearGraph()) });
    expect(pidOf(pool, 'third')).toBe(spare[0]);
    expect(nameOf(spare[0]!)).toBe('third');
    expect((await third.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
    // It is nobody's spare any more: its end is the end of its model's process.
    await waitUntil('there is another', () => pool.spareBytes > 0);
    await waitUntil('nobody wanted it', () => pool.spareBytes === 0);
    expect((await third.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
    expect(names()).toEqual(['linear', 'slow', 'third']);
  });

  it('gives the spare to a model whose process was killed, and tells of its end as of any other', async () => {
    const crashes: string[][] = [];
    const pool = poolOf({ onCrash: (name, reason) => crashes.push([name, reason]) });
    const linear = await loadLinear(pool);
    for (let round = 1; round <= 2; round++) {
      process.kill(pidOf(pool, 'linear')!, 'SIGKILL');
      await waitUntil('the end was told', () => crashes.length === round);
      expect((await linear.run({ x: ROWS }))['y']?.data).toEqual(new Float32Array(EXPECTED));
      await waitUntil('there is a spare', () => pool.spareBytes > 0);
    }
    expect(crashes).toEqual([
      ['linear', 'SIGKILL'],
      ['linear', 'SIGKILL'],
    ]);
  });

  it('has no spare where none is wanted', async () => {
    const pool = poolOf({ spareMs: 0 });
    for (let round = 0; round < 2; round++) await (await loadLinear(pool)).release();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(pool.spareBytes).toBe(0);
  });

  it('leaves no process behind when its own is killed amid a run', async () => {
    const script = fileURLToPath(new URL('./killed-amid-a-run.mjs', import.meta.url));
    const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const [said] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(said.toString());
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    parent.kill('SIGKILL');
    await waitUntil('it is gone', () => !existsSync(`/proc/${pid}`));
  });

  it('opens nothing after it was closed', async () => {
    const pool = poolOf();
    await pool.close();
    expect((await refusalOf(loadLinear(pool))).code).toBe('EXPERT_NOT_READY');
  });
});
