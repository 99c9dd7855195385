import { openBundle, sha256Hex, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { linearGraph, writePicoBase, writePicoGraph } from '@thalamus/testing';
import { mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProcessGraphDeriver } from '../src/adapters/child/process-graph-deriver.js';
import { deriveGraph, DERIVATION_VERSION } from '../src/application/derive-graph.js';
import { DerivedGraphs } from '../src/application/derived-graphs.js';
import type {
  Derivation,
  DerivingTask,
  GraphDeriver,
  WrittenGraph,
} from '../src/application/graph-deriver.port.js';

const INT8 = { kind: 'int8', blockSize: 16 } as const;

/** Derives here, counts, and may fail after the file was written. */
class CountingDeriver implements GraphDeriver {
  runs = 0;
  fault: Error | undefined;

  async derive<K extends Derivation>(task: DerivingTask & { readonly what: K }): Promise<WrittenGraph<K>> {
    this.runs += 1;
    const written = await deriveGraph(task);
    if (this.fault) throw this.fault;
    return written as WrittenGraph<K>;
  }
}

let root: string;
let folder: string;
let bundle: OpenedBundle<ExpertManifest>;
let deriver: CountingDeriver;
const graphs = () => new DerivedGraphs(bundle, { folder, deriver });

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'thalamus-derived-'));
  folder = join(root, 'derived');
  await writePicoBase(join(root, 'pico'), { name: 'pico' }, INT8);
  bundle = await openBundle(join(root, 'pico'));
  deriver = new CountingDeriver();
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('graphs derived from a base', () => {
  it('are derived once and found again, each with the same facts', async () => {
    const branched = await graphs().branched();
    const heads = await graphs().maskedLmHead();
    expect(deriver.runs).toBe(2);
    expect(branched.branches.length).toBeGreaterThan(0);
    expect((await stat(branched.path)).size).toBe(branched.sizeBytes);
    expect(await graphs().branched()).toEqual(branched);
    expect(await graphs().maskedLmHead()).toEqual(heads);
    expect(deriver.runs).toBe(2);
  });

  it('are derived again when their file is cut short, changed, or without its facts', async () => {
    const { path } = await graphs().branched();
    const whole = await readFile(path);
    const facts = path.replace(/onnx$/, 'json');
    const changed = Buffer.from(whole);
    changed[1_000] = (changed[1_000] ?? 0) ^ 1;
    const harm = [
      () => truncate(path, whole.length - 1),
      () => writeFile(path, changed),
      () => rm(path),
      () => rm(facts),
      () => truncate(facts, 20),
      () =>
        writeFile(facts, JSON.stringify({ facts: {}, sizeBytes: whole.length, sha256: sha256Hex(whole) })),
    ];
    for (const [index, damage] of harm.entries()) {
      await damage();
      await graphs().branched();
      expect(deriver.runs).toBe(index + 2);
      expect(sha256Hex(await readFile(path))).toBe(sha256Hex(whole));
    }
  });

  it('leave nothing behind when deriving fails, and are tried again by the next who asks', async () => {
    deriver.fault = new Error('killed');
    const asked = graphs();
    await expect(asked.branched()).rejects.toThrow('killed');
    expect(await readdir(folder)).toEqual([]);
    deriver.fault = undefined;
    expect((await asked.branched()).sizeBytes).toBeGreaterThan(0);
  });

  it('may be derived by two hosts at once', async () => {
    const [one, other] = await Promise.all([graphs().branched(), graphs().branched()]);
    expect(one).toEqual(other);
    expect((await readdir(folder)).length).toBe(2);
    await graphs().branched();
    expect(deriver.runs).toBe(2);
  });

  it('have old leftovers of a process that was killed removed, and young ones left alone', async () => {
    await graphs().branched();
    const [old, young] = ['old', 'young'].map((name) => join(folder, `graph.onnx.writing-${name}`));
    for (const path of [old, young]) await writeFile(path as string, 'half');
    await utimes(old as string, 0, 0);
    await graphs().maskedLmHead();
    const names = await readdir(folder);
    expect(names).not.toContain('graph.onnx.writing-old');
    expect(names).toContain('graph.onnx.writing-young');
  });

  it('need a folder that can be written to', async () => {
    await writeFile(folder, 'a file');
    await expect(graphs().branched()).rejects.toMatchObject({ code: 'ARTIFACT_STORE_FULL' });
  });
});

describe('the version of what is derived', () => {
  it('is raised when other bytes are derived from the same base', async () => {
    const digests: string[] = [];
    for (const what of ['branches', 'masked-lm-heads'] as const) {
      const { sha256 } = await deriveGraph({ what, bundleFolder: bundle.folder, path: join(root, what) });
      digests.push(sha256.slice(0, 16));
    }
    // Other digests: raise DERIVATION_VERSION, or hosts go on with graphs of an earlier release; then write them here.
    expect([DERIVATION_VERSION, ...digests]).toEqual([1, 'daee8dfbf3916a08', '5fe9dd4d155bbe37']);
  });
});

describe('the process that derives', () => {
  it('writes what is derived here, and ends', async () => {
    const task = { what: 'branches', bundleFolder: bundle.folder, path: join(root, 'there') } as const;
    const written = await new ProcessGraphDeriver().derive(task);
    expect(written).toEqual(await deriveGraph({ ...task, path: join(root, 'here') }));
    expect(await readFile(join(root, 'there'))).toEqual(await readFile(join(root, 'here')));
  });

  it('says why a base has no such graph', async () => {
    await writePicoGraph(join(root, 'linear'), { name: 'linear' }, linearGraph());
    const task = { what: 'branches', bundleFolder: join(root, 'linear'), path: join(root, 'none') } as const;
    await expect(new ProcessGraphDeriver().derive(task)).rejects.toMatchObject({ code: 'GRAPH_INVALID' });
  });

  it('is killed when it takes too long', async () => {
    const task = { what: 'branches', bundleFolder: bundle.folder, path: join(root, 'late') } as const;
    const late = new ProcessGraphDeriver(1).derive(task);
    await expect(late).rejects.toMatchObject({
      code: 'EXPERT_CRASHED',
      message: expect.stringContaining('no answer within 1 ms') as string,
    });
  });
});
