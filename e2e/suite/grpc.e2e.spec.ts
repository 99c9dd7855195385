import { status } from '@grpc/grpc-js';
import { rpcDetails, rpcStatus } from '@thalamus/contracts';
import { fromBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mesh } from '../support/mesh.js';
import { PlainClient, reflectedServices } from '../support/plain-grpc.js';
import { startMesh } from '../support/start-mesh.js';

let mesh: Mesh;
let gateway: PlainClient;
let oip: PlainClient;
beforeAll(async () => {
  mesh = await startMesh();
  gateway = new PlainClient(
    'thalamus/gateway/v1/gateway.proto',
    'thalamus.gateway.v1.GatewayService',
    mesh.grpc,
  );
  oip = new PlainClient('inference/grpc_service.proto', 'inference.GRPCInferenceService', mesh.grpc);
});
afterAll(async () => {
  gateway.close();
  oip.close();
  await mesh.stop();
});

const text = (...prompts: string[]) => ({
  name: 'text',
  datatype: 'BYTES',
  shape: [prompts.length],
  contents: { bytes_contents: prompts.map((prompt) => Buffer.from(prompt)) },
});

describe('thalamus.gateway.v1, for a client made from the proto alone', () => {
  it('classifies and says why', async () => {
    const answer = await gateway.call('Classify', { input: 'Add this song to my workout playlist' });
    expect(answer).toMatchObject({ expert: 'snips7', version: '2' });
    expect((answer['scores'] as { label: string }[])[0]?.label).toBe('AddToPlaylist');
    expect((answer['decision'] as { ranked: unknown[] }).ranked.length).toBeGreaterThan(5);
  });

  it('ranks and embeds', async () => {
    const routed = await gateway.call('Route', { input: 'The court reversed the judgment', top_k: 3 });
    expect((routed['decision'] as { ranked: unknown[] }).ranked).toHaveLength(3);
    const embedded = await gateway.call('Embed', { inputs: ['hello', 'world'], model: 'minilm-l6' });
    expect((embedded['embeddings'] as { values: number[] }[]).map(({ values }) => values.length)).toEqual([
      384, 384,
    ]);
  });

  it.each([
    ['an empty prompt', 'Classify', { input: '' }, status.INVALID_ARGUMENT, 'REQUEST_INVALID'],
    [
      'an unknown model',
      'Classify',
      { input: 'hello', model: 'nobody' },
      status.NOT_FOUND,
      'EXPERT_NOT_FOUND',
    ],
    [
      'an embedding from auto',
      'Embed',
      { inputs: ['hello'], model: 'auto' },
      status.INVALID_ARGUMENT,
      'REQUEST_INVALID',
    ],
  ])('refuses %s with a google.rpc.Status', async (_what, method, request, code, reason) => {
    const fault = await gateway.call(method, request).then(
      () => undefined,
      (error: unknown) => error as { code: number; metadata: { get(name: string): Buffer[] } },
    );
    expect(fault?.code).toBe(code);
    const [bytes] = fault?.metadata.get('grpc-status-details-bin') ?? [];
    const { details } = fromBinary(rpcStatus.StatusSchema, bytes ?? Buffer.alloc(0));
    const info = details.find(({ typeUrl }) => typeUrl.endsWith('google.rpc.ErrorInfo'));
    expect(fromBinary(rpcDetails.ErrorInfoSchema, info?.value ?? new Uint8Array()).reason).toBe(reason);
  });

  it('keeps to a deadline', async () => {
    await expect(gateway.call('Classify', { input: 'hello' }, { deadlineMs: 0 })).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
    });
  });

  it('refuses a key that was never made', async () => {
    const metadata = { authorization: 'Bearer tk_wrong' };
    await expect(gateway.call('Classify', { input: 'hello' }, { metadata })).rejects.toMatchObject({
      code: status.UNAUTHENTICATED,
    });
  });
});

describe('Open Inference Protocol v2 on the same port', () => {
  it('routes auto: label, score and expert', async () => {
    const answer = await oip.call('ModelInfer', {
      model_name: 'auto',
      inputs: [text('Add this song to my workout playlist')],
    });
    const outputs = answer['outputs'] as { name: string; contents: { bytes_contents: Buffer[] } | null }[];
    expect(outputs.map(({ name }) => name).sort()).toEqual(['expert', 'label', 'score']);
    const names = answer['raw_output_contents'] as Buffer[];
    const all = Buffer.concat([
      ...names,
      ...outputs.flatMap(({ contents }) => contents?.bytes_contents ?? []),
    ]).toString();
    expect(all).toContain('AddToPlaylist');
    expect(all).toContain('snips7');
  });

  it('serves a named expert, its metadata, its readiness and the index', async () => {
    expect(await oip.call('ModelReady', { name: 'snips7' })).toMatchObject({ ready: true });
    expect(await oip.call('ModelMetadata', { name: 'snips7' })).toMatchObject({
      name: 'snips7',
      versions: ['2'],
    });
    const answer = await oip.call('ModelInfer', {
      model_name: 'snips7',
      inputs: [text('Book a table for two')],
    });
    expect(answer).toMatchObject({ model_name: 'snips7', model_version: '2' });
    const index = await oip.call('RepositoryIndex', { ready: true });
    expect((index['models'] as { name: string }[]).map(({ name }) => name)).toEqual(
      expect.arrayContaining([...mesh.experts]),
    );
  });

  it.each([
    ['a wrong datatype', { ...text('hello'), datatype: 'FP32' }],
    ['a shape that does not fit', { ...text('hello'), shape: [2] }],
  ])('refuses %s', async (_what, input) => {
    await expect(oip.call('ModelInfer', { model_name: 'auto', inputs: [input] })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });
});

describe('what every gRPC server has', () => {
  it('health', async () => {
    const health = new PlainClient('grpc/health/v1/health.proto', 'grpc.health.v1.Health', mesh.grpc);
    expect(await health.call('Check', {})).toMatchObject({ status: 'SERVING' });
    health.close();
  });

  it.each(['v1', 'v1alpha'] as const)('reflection %s', async (version) => {
    const listed = await reflectedServices(mesh.grpc, version);
    expect(listed).toContain('thalamus.gateway.v1.GatewayService');
    expect(listed).toContain('inference.GRPCInferenceService');
  });
});
