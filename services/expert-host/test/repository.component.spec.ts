import {
  digestHex,
  float32Tensor,
  parseExpertManifest,
  writeBundle,
  writeSafetensors,
} from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { encodeModel, graphOf } from '@thalamus/onnx-graph';
import { linearGraph, waitUntil, writePicoBase, writePicoGraph, writePicoProbe } from '@thalamus/testing';
import { access, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask, Host, PROBES, refusalOf, Registry, textInput, valuesOf } from './host-harness.js';

let registry: Registry;
let host: Host | undefined;

beforeEach(async () => {
  registry = await Registry.open();
});
afterEach(async () => {
  await host?.stop(0);
  host = undefined;
  await registry.close();
});

const start = async (environment: Record<string, string> = {}) =>
  (host = await Host.start(registry, environment));

const indexOf = async ({ client }: Host) =>
  Object.fromEntries(
    (await client.repositoryIndex({})).models.map(({ name, version, state }) => [
      `${name}@${version}`,
      state,
    ]),
  );

/** Flips one bit of a stored artifact. */
async function harm(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length - 3]! ^= 1;
  await writeFile(path, bytes);
}

describe('what a host says of itself and its experts', () => {
  it('is live, ready, and describes the server, the models and the repository', async () => {
    await registry.addAll();
    const { client } = await start();
    expect((await client.serverLive({})).live).toBe(true);
    expect((await client.serverReady({})).ready).toBe(true);
    expect(await client.serverMetadata({})).toMatchObject({
      name: 'thalamus-expert-host',
      extensions: expect.arrayContaining(['model_repository']) as unknown,
    });
    expect((await client.modelReady({ name: 'animals', version: '1' })).ready).toBe(true);
    const { inputs, outputs, versions, platform } = await client.modelMetadata({
      name: 'planets',
      version: '1',
    });
    const plain = (values: typeof inputs) => values.map((it) => [it.name, it.datatype, it.shape.map(Number)]);
    expect(plain(inputs)).toEqual([['text', 'BYTES', [-1]]]);
    expect(plain(outputs)).toEqual([
      ['label', 'BYTES', [-1]],
      ['score', 'FP32', [-1]],
      ['scores', 'FP32', [-1, 7]],
    ]);
    expect([versions, platform]).toEqual([['1'], 'onnxruntime_onnx']);
    const linear = await client.modelMetadata({ name: 'linear', version: '1' });
    expect([...plain(linear.inputs), ...plain(linear.outputs)]).toEqual([
      ['x', 'FP32', [-1, 2]],
      ['y', 'FP32', [-1, 3]],
    ]);
    const { config } = await client.modelConfig({ name: 'weather', version: '1' });
    expect(config?.parameters['labels']?.stringValue).toBe(JSON.stringify(PROBES.weather.labels));
    expect(await indexOf(host!)).toEqual(
      Object.fromEntries(
        ['animals', 'linear', 'pico', 'planets', 'slow', 'weather'].map((name) => [`${name}@1`, 'READY']),
      ),
    );
  });

  it('refuses questions about what it does not know, in the protocol’s own form', async () => {
    await registry.addAll();
    const { client } = await start();
    for (const question of [client.modelReady, client.modelMetadata, client.modelConfig]) {
      expect(await refusalOf(question({ name: 'nobody', version: '1' }))).toMatchObject({
        grpc: 'NOT_FOUND',
      });
      expect(await refusalOf(question({ name: 'nobody', version: '' }))).toMatchObject({ grpc: 'NOT_FOUND' });
    }
    expect(await refusalOf(client.modelStatistics({ name: 'nobody' }))).toMatchObject({ grpc: 'NOT_FOUND' });
  });

  it('counts what it answered and what it refused', async () => {
    await registry.addAll();
    const running = await start();
    await ask(running, 'animals', ['hello']);
    await refusalOf(ask(running, 'animals', ['']));
    await ask(running, 'animals', ['one', 'two', 'three']);
    const { modelStats } = await running.client.modelStatistics({ name: 'animals' });
    expect(modelStats).toMatchObject([
      {
        inferenceCount: 4n,
        executionCount: 2n,
        inferenceStats: { success: { count: 2n }, fail: { count: 1n }, queue: { count: 4n } },
        batchStats: [
          { batchSize: 1n, computeInfer: { count: 1n } },
          { batchSize: 3n, computeInfer: { count: 1n } },
        ],
      },
    ]);
    expect(Number(modelStats[0]?.lastInference)).toBeGreaterThan(0);
    const idle = await running.client.modelStatistics({ name: 'planets', version: '1' });
    expect(idle.modelStats).toMatchObject([{ inferenceCount: 0n, executionCount: 0n, batchStats: [] }]);
  });
});

describe('what a host loads', () => {
  it('follows the registry: new experts, new versions, and lets go of old ones', async () => {
    const base = await registry.addAll();
    const running = await start();
    const write = (version: string, seed: number) =>
      writePicoProbe(registry.path(`tides-${version}`), { name: 'tides', version, seed }, ['ebb', 'flow'], {
        name: 'pico',
        digest: base,
      });
    await write('1', 21);
    await registry.add('tides-1');
    await running.until('tides', '1', 'ready');
    const before = valuesOf(await ask(running, 'tides', ['hello world']), 'scores');
    await write('2', 22);
    await registry.add('tides-2', 'candidate');
    await registry.setChannels('tides', { stable: '1', candidate: '2' });
    await running.until('tides', '2', 'ready');
    expect(valuesOf(await ask(running, 'tides', ['hello world']), 'scores')).toEqual(before);
    await registry.setChannels('tides', { stable: '2' });
    await waitUntil('version 1 is gone', async () => !('tides@1' in (await indexOf(running))));
    expect(await refusalOf(ask(running, 'tides', ['hello']))).toMatchObject({ code: 'EXPERT_NOT_READY' });
    const inputs = [textInput('hello world')];
    const after = await running.client.modelInfer({ modelName: 'tides', modelVersion: '2', inputs });
    expect(valuesOf(after, 'scores')).not.toEqual(before);
  });

  it('unloads and loads by hand, and loads versions that no channel names', async () => {
    await registry.addAll();
    const running = await start();
    await running.client.repositoryModelUnload({ modelName: 'animals@1' });
    expect(await indexOf(running)).not.toHaveProperty('animals@1');
    expect(await refusalOf(ask(running, 'animals', ['hello']))).toMatchObject({
      code: 'EXPERT_NOT_READY',
      grpc: 'UNAVAILABLE',
    });
    await running.client.repositoryModelLoad({ modelName: 'animals@1' });
    expect((await ask(running, 'animals', ['hello'])).outputs.length).toBe(3);
    await writePicoGraph(registry.path('spare'), { name: 'spare' }, linearGraph());
    await registry.add('spare', 'none');
    await waitUntil('the spare version is known', async () => {
      await running.client.repositoryModelLoad({ modelName: 'spare@1' });
      return true;
    });
    expect((await indexOf(running))['spare@1']).toBe('READY');
    for (const modelName of ['@1', '', 'animals@', 'animals@1@2']) {
      expect(await refusalOf(running.client.repositoryModelLoad({ modelName }))).toMatchObject({
        fields: ['model_name'],
      });
    }
    const load = running.client.repositoryModelLoad({ modelName: 'nobody@1' });
    expect(await refusalOf(load)).toMatchObject({ code: 'EXPERT_NOT_FOUND' });
  });

  it('frees the base with its last user, and loads it again', async () => {
    await registry.addAll();
    const running = await start();
    const names = ['pico', ...Object.keys(PROBES)];
    for (const name of names) await running.client.repositoryModelUnload({ modelName: `${name}@1` });
    expect(Object.keys(await indexOf(running))).toEqual(['linear@1', 'slow@1']);
    for (const name of names.reverse()) await running.client.repositoryModelLoad({ modelName: `${name}@1` });
    expect((await ask(running, 'planets', ['hello'])).outputs.length).toBe(3);
  });

  it('loads no more than its memory limit allows, and says so', async () => {
    await registry.addAll();
    const running = await start({ THALAMUS_MEMORY_LIMIT: '1000' });
    expect(new Set(Object.values(await indexOf(running)))).toEqual(new Set(['READY', 'UNAVAILABLE']));
    const refusal = await refusalOf(ask(running, 'animals', ['hello']));
    expect(refusal.message).toContain('THALAMUS_MEMORY_LIMIT');
  });
});

describe('what a host never opens', () => {
  it('a bundle with one flipped bit: it fails alone, is reported, and loads once it is mended', async () => {
    await registry.addAll();
    const digest = await registry.add('animals');
    const { files } = JSON.parse(await readFile(join(registry.path('animals'), 'expert.json'), 'utf8')) as {
      files: { sha256: string }[];
    };
    const artifact = registry.store.pathOf(`sha256:${files[0]!.sha256}`);
    await harm(artifact);
    const running = await start();
    expect(await indexOf(running)).toMatchObject({ 'animals@1': 'UNAVAILABLE', 'weather@1': 'READY' });
    await running.until('animals', '1', 'failed');
    expect(await registry.residencyError('animals')).toBe('ARTIFACT_CORRUPT');
    const refusal = await refusalOf(ask(running, 'animals', ['hello']));
    expect(refusal).toMatchObject({ code: 'EXPERT_NOT_READY' });
    expect(refusal.message).toContain('is not what it claims');
    await expect(access(join(registry.folder, 'data/bundles', digestHex(digest)))).rejects.toThrow('ENOENT');
    expect((await ask(running, 'weather', ['hello'])).outputs.length).toBe(3);
    await harm(artifact);
    await running.client.repositoryModelLoad({ modelName: 'animals@1' });
    expect((await ask(running, 'animals', ['hello'])).outputs.length).toBe(3);
  });

  it('a base with one flipped bit: every expert on it fails, none other', async () => {
    await registry.addAll();
    const manifest = JSON.parse(await readFile(join(registry.path('pico'), 'expert.json'), 'utf8')) as {
      files: { path: string; sha256: string }[];
    };
    const { sha256 } = manifest.files.find(({ path }) => path === 'model.onnx')!;
    await harm(registry.store.pathOf(`sha256:${sha256}`));
    const running = await start();
    expect(await indexOf(running)).toEqual({
      'animals@1': 'UNAVAILABLE',
      'linear@1': 'READY',
      'pico@1': 'UNAVAILABLE',
      'planets@1': 'UNAVAILABLE',
      'slow@1': 'READY',
      'weather@1': 'UNAVAILABLE',
    });
  });

  it('a broken head that is the first on its base: the heads after it are served', async () => {
    const digest = (await writePicoBase(registry.path('pico'), { name: 'pico' })).digest;
    await registry.add('pico', 'none');
    for (const name of ['aa', 'bb', 'cc']) {
      await writePicoProbe(registry.path(name), { name }, ['a', 'b'], { name: 'pico', digest });
      await registry.add(name);
    }
    const running = await start();
    expect(Object.keys(await indexOf(running))).toEqual(['aa@1', 'bb@1', 'cc@1']);
    for (const name of ['aa', 'bb', 'cc'])
      await running.client.repositoryModelUnload({ modelName: `${name}@1` });
    await writePicoProbe(registry.path('aa'), { name: 'aa', version: '2', seed: 5 }, ['a', 'b'], {
      name: 'pico',
      digest,
    });
    const { files } = parseExpertManifest(await readFile(join(registry.path('aa'), 'expert.json')));
    await registry.add('aa');
    await harm(registry.store.pathOf(`sha256:${files[0]!.sha256}`));
    await Promise.allSettled(
      ['aa@2', 'bb@1', 'cc@1'].map((modelName) => running.client.repositoryModelLoad({ modelName })),
    );
    await running.until('aa', '2', 'failed');
    expect(await indexOf(running)).toMatchObject({ 'aa@2': 'UNAVAILABLE', 'bb@1': 'READY', 'cc@1': 'READY' });
    expect((await ask(running, 'bb', ['hello'])).outputs.length).toBe(3);
  });

  it('a cached copy that was changed: it is fetched again', async () => {
    await registry.addAll();
    const digest = await registry.add('animals');
    const first = await start();
    const before = valuesOf(await ask(first, 'animals', ['hello']), 'scores');
    await first.stop();
    const cached = join(registry.folder, 'data/bundles', digestHex(digest));
    await harm(join(cached, 'head.safetensors'));
    const second = await start();
    expect(valuesOf(await ask(second, 'animals', ['hello']), 'scores')).toEqual(before);
  });

  it('graphs that fail the structural parse, whose digests are right', async () => {
    const foreign = linearGraph();
    graphOf(foreign).node[0]!.domain = 'evil.ops';
    await writePicoGraph(registry.path('foreign'), { name: 'foreign' }, foreign);
    await registry.add('foreign');
    const cut = encodeModel(linearGraph()).slice(0, 40);
    await writePicoGraph(registry.path('cut'), { name: 'cut' }, linearGraph());
    await writeFile(join(registry.path('cut'), 'model.onnx'), cut);
    await expect(registry.add('cut')).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    const running = await start();
    const { models } = await running.client.repositoryIndex({});
    expect(models).toMatchObject([{ name: 'foreign', state: 'UNAVAILABLE' }]);
    expect(models[0]?.reason).toContain('evil.ops');
  });

  it('a tokenizer whose pattern would end the process of the host: its model fails alone', async () => {
    await registry.addAll();
    await writePicoBase(registry.path('model'), { name: 'model' });
    const manifest = parseExpertManifest(await readFile(join(registry.path('model'), 'expert.json')));
    const [graph, tokenizer] = await Promise.all(
      ['model.onnx', 'tokenizer.json'].map((name) => readFile(join(registry.path('model'), name))),
    );
    const split = { type: 'Split', pattern: { Regex: '(a|aa)+$' }, behavior: 'Isolated', invert: false };
    const json = { ...(JSON.parse(String(tokenizer)) as object), pre_tokenizer: split };
    await writeBundle(
      registry.path('hostile'),
      { ...manifest, name: 'hostile' },
      { 'model.onnx': new Uint8Array(graph!), 'tokenizer.json': Buffer.from(JSON.stringify(json)) },
    );
    await registry.add('hostile');
    const running = await start();
    const { models } = await running.client.repositoryIndex({});
    const hostile = models.find(({ name }) => name === 'hostile');
    expect(hostile?.state).toBe('UNAVAILABLE');
    expect(hostile?.reason).toContain('"(a|aa)+$" repeats a group');
    expect((await ask(running, 'animals', ['hello'])).outputs.length).toBe(3);
  });

  it('a head with numbers that are not finite, or with fewer labels than its manifest', async () => {
    const digest = await registry.addAll();
    const base = { name: 'pico', digest };
    const add = async (name: string, weights: Float32Array) => {
      await writePicoProbe(registry.path('model'), { name: 'model' }, ['a', 'b'], base);
      const manifest = parseExpertManifest(await readFile(join(registry.path('model'), 'expert.json')));
      const head = { 'head.weight': float32Tensor([weights.length / 16, 16], weights) };
      const bias = { 'head.bias': float32Tensor([2], new Float32Array(2)) };
      const files = { 'head.safetensors': writeSafetensors({ ...head, ...bias }) };
      await writeBundle(registry.path(name), { ...manifest, name }, files);
      await registry.add(name);
    };
    await add('nan', new Float32Array(32).fill(NaN));
    await add('short', new Float32Array(16));
    const running = await start();
    const { models } = await running.client.repositoryIndex({});
    const reasons = Object.fromEntries(models.map(({ name, reason }) => [name, reason]));
    expect(reasons['nan']).toContain('not finite');
    expect(reasons['short']).toContain(
      'head.safetensors: head.weight has the shape [1,16] where [2,16] is needed',
    );
    expect((await ask(running, 'animals', ['hello'])).outputs.length).toBe(3);
  });

  it('a version that is registered with the bundle of another', async () => {
    const baseDigest = await registry.addAll();
    const manifestDigest = await registry.add('animals');
    const value = {
      expert: 'impostor',
      version: '1',
      kind: registryV1.ExpertKind.PROBE,
      manifestDigest,
      baseDigest,
    };
    await registry.publish('version/impostor@1', { case: 'version', value });
    await registry.setChannels('impostor', { stable: '1' });
    const { client } = await start();
    const { models } = await client.repositoryIndex({});
    const impostor = models.find(({ name }) => name === 'impostor');
    expect(impostor?.state).toBe('UNAVAILABLE');
    expect(impostor?.reason).toContain('is registered with the bundle of animals@1');
  });
});
