import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchedMesh } from '../support/mesh.js';
import { launchFresh } from '../support/start-mesh.js';
import { ghz, grpcurl, python } from './installed.js';

let mesh: LaunchedMesh;
/** host:port of the gRPC server of the expert host: nothing is between it and the clients. */
let host: string;
beforeAll(async () => {
  mesh = await launchFresh();
  host = mesh.addressOf('expert-host');
});
afterAll(() => mesh.stop());

const INFER = 'inference.GRPCInferenceService/ModelInfer';
const saying = (text: string) => expect.stringContaining(text) as string;

/** A request for one text, as JSON of its protobuf. */
function request(model: string, text: string): string {
  const contents = { bytes_contents: [Buffer.from(text).toString('base64')] };
  return JSON.stringify({
    model_name: model,
    inputs: [{ name: 'text', datatype: 'BYTES', shape: ['1'], contents }],
  });
}

interface Answer {
  readonly answer: { readonly labels: string[]; readonly scores: number[] };
}

describe('tritonclient against an expert host', () => {
  const LABELS = ['AddToPlaylist', 'BookRestaurant', 'GetWeather'];

  it('gets the same answers over gRPC and HTTP, plain, with callbacks, streamed and with asyncio', async () => {
    const got = await python<{
      [K in 'grpc' | 'grpcCallbacks' | 'grpcStream' | 'grpcAsyncio' | 'http' | 'httpAsyncio']: Answer &
        Record<string, unknown>;
    }>('triton_host_client.py', { ...mesh, hostGrpc: host, hostHttp: mesh.httpOf('expert-host') });
    expect(got.grpc.answer.labels).toEqual(LABELS);
    for (const { answer } of Object.values(got)) {
      expect(answer.labels).toEqual(LABELS);
      // A text alone and in a batch differ by the rounding of another shape.
      answer.scores.forEach((score, index) => expect(score).toBeCloseTo(got.grpc.answer.scores[index]!, 2));
    }
    expect(got.grpc).toMatchObject({
      live: true,
      ready: true,
      extensions: expect.arrayContaining(['model_repository', 'statistics']) as string[],
      inputs: [['text', 'BYTES']],
      config: 'snips7',
      index: expect.arrayContaining([...mesh.experts]) as string[],
      statistics: ['snips7'],
      readyWhileUnloaded: false,
      readyAgain: true,
      unknown: { status: 'StatusCode.NOT_FOUND', message: saying('nobody') },
      late: { message: saying('Deadline') },
    });
    expect(got.grpcCallbacks).toMatchObject({ error: null });
    expect(got.grpcStream).toMatchObject({
      ids: ['0', '1', '2', 'after'],
      faults: [saying('EXPERT_NOT_FOUND')],
    });
    expect(got.grpcAsyncio).toMatchObject({
      single: [...LABELS, ...LABELS, ...LABELS, ...LABELS],
      streamed: LABELS,
    });
    expect(got.http).toMatchObject({ ready: true, unknown: { status: '404', message: saying('nobody') } });
    expect(got.httpAsyncio).toMatchObject({ answered: 8 });
  });
});

describe('grpcurl against an expert host', () => {
  it('finds the service by reflection and health, and infers', async () => {
    const listed = await grpcurl([host, 'list']);
    expect(listed.stdout.split('\n')).toEqual(
      expect.arrayContaining(['grpc.health.v1.Health', 'inference.GRPCInferenceService']),
    );
    const health = await grpcurl([host, 'grpc.health.v1.Health/Check']);
    expect(JSON.parse(health.stdout)).toEqual({ status: 'SERVING' });
    const { stdout } = await grpcurl(['-d', request('snips7', 'Book a table for two'), host, INFER]);
    const { modelName, outputs } = JSON.parse(stdout) as {
      modelName: string;
      outputs: { name: string; datatype: string }[];
    };
    expect([modelName, outputs.map(({ name }) => name)]).toEqual(['snips7', ['label', 'score', 'scores']]);
  });

  it('streams two requests, the wrong one with its reason', async () => {
    const body = `${request('nobody', 'hello')}\n${request('snips7', 'Book a table for two')}`;
    const stream = 'inference.GRPCInferenceService/ModelStreamInfer';
    const { stdout } = await grpcurl(['-d', body, host, stream]);
    expect(stdout).toContain('EXPERT_NOT_FOUND');
    expect(stdout).toContain('"modelName": "snips7"');
  });

  it('is told which input is wrong, and why', async () => {
    const inputs = [{ name: 'text', datatype: 'INT7', shape: ['1'], contents: { int_contents: [1] } }];
    const { exit, stderr } = await grpcurl([
      '-d',
      JSON.stringify({ model_name: 'snips7', inputs }),
      host,
      INFER,
    ]);
    expect(exit).not.toBe(0);
    for (const part of ['InvalidArgument', 'TENSOR_INVALID', 'INT7']) expect(stderr).toContain(part);
  });
});

describe('ghz against an expert host', () => {
  const call = 'inference.GRPCInferenceService.ModelInfer';

  it('has every one of its requests answered, over several connections', async () => {
    const report = await ghz(host, {
      call,
      data: request('snips7', 'Book a table for two'),
      requests: 200,
      concurrency: 16,
    });
    expect(report).toMatchObject({ count: 200, statusCodeDistribution: { OK: 200 } });
    expect(report.rps).toBeGreaterThan(0);
  });

  it('counts refusals by their status', async () => {
    const report = await ghz(host, {
      call,
      data: request('nobody', 'hello'),
      requests: 20,
      concurrency: 4,
    });
    expect(report.statusCodeDistribution).toEqual({ NotFound: 20 });
    expect(Object.keys(report.errorDistribution).join()).toContain('nobody');
  });
});
