import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchedMesh } from '../support/mesh.js';
import { launchFresh } from '../support/start-mesh.js';
import { grpcurl, openaiPackage, python, SAMPLE } from './installed.js';

let mesh: LaunchedMesh;
beforeAll(async () => {
  mesh = await launchFresh({ arguments: ['--replay-pace', '0.05'] });
});
afterAll(() => mesh.stop());

interface Refusal {
  readonly type: string;
  readonly status: number;
  readonly code: string;
}

/** As much of the package as is used here: it is not a dependency, so its types are not there. */
interface OpenAi {
  readonly chat: {
    readonly completions: {
      create(
        body: object,
        options?: object,
      ): Promise<AsyncIterable<Chunk> & Whole> & {
        withResponse(): Promise<{ data: Whole; response: Response }>;
      };
    };
  };
  readonly models: { list(): AsyncIterable<{ id: string }> };
  readonly embeddings: { create(body: object): Promise<{ data: { embedding: number[] }[] }> };
}
interface Whole {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly usage: { readonly completion_tokens: number };
}
interface Chunk {
  readonly choices: readonly { readonly delta: { readonly content?: string } }[];
  readonly usage?: { readonly completion_tokens: number } | null;
}

describe('the official openai package of npm', () => {
  let client: (key?: string) => OpenAi;
  const messages = [{ role: 'user', content: SAMPLE }];
  beforeAll(async () => {
    const { default: Client } = (await openaiPackage()) as { default: new (options: object) => OpenAi };
    client = (apiKey = mesh.key) => new Client({ baseURL: `${mesh.http}/v1`, apiKey, maxRetries: 0 });
  });

  it('gets a whole answer, and the headers that say who gave it', async () => {
    const { data, response } = await client()
      .chat.completions.create({ model: 'auto', messages })
      .withResponse();
    expect(data.choices[0]?.message.content).toContain('576');
    expect(data.usage.completion_tokens).toBeGreaterThan(10);
    expect(mesh.remoteExperts).toContain(response.headers.get('x-thalamus-expert'));
  });

  it('gets a stream, with usage when it asks for it', async () => {
    const options = { stream: true, stream_options: { include_usage: true } };
    const stream = await client().chat.completions.create({ model: 'auto', messages, ...options });
    const chunks: Chunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toContain('576');
    expect(chunks.length).toBeGreaterThan(10);
    expect(chunks.at(-1)?.usage?.completion_tokens).toBeGreaterThan(10);
  });

  it('leaves in the middle of a stream', async () => {
    const stop = new AbortController();
    const stream = await client().chat.completions.create(
      { model: 'auto', messages, stream: true },
      { signal: stop.signal },
    );
    const seen: Chunk[] = [];
    for await (const chunk of stream) {
      seen.push(chunk);
      stop.abort();
    }
    expect(seen.length).toBeGreaterThan(0);
    const whole = await client().chat.completions.create({ model: 'auto', messages, stream: true });
    let all = 0;
    for await (const chunk of whole) all += chunk.choices.length;
    expect(all).toBeGreaterThan(seen.length);
  });

  it('lists models and embeds', async () => {
    const ids: string[] = [];
    for await (const { id } of client().models.list()) ids.push(id);
    expect(ids).toEqual(expect.arrayContaining(['auto', ...mesh.experts, ...mesh.remoteExperts]));
    const { data } = await client().embeddings.create({ model: 'minilm-l6', input: ['hello', 'world'] });
    expect(data.map(({ embedding }) => embedding.length)).toEqual([384, 384]);
  });

  it.each([
    ['an unknown model', {}, { model: 'nobody' }, 404, 'EXPERT_NOT_FOUND'],
    ['a wrong key', { key: 'tk_wrong' }, { model: 'auto' }, 401, 'KEY_INVALID'],
    [
      'a prompt without a recording',
      {},
      { model: 'auto', messages: [{ role: 'user', content: 'hi' }] },
      404,
      'RESOURCE_NOT_FOUND',
    ],
  ] as const)('raises its own error for %s', async (_, { key }: { key?: string }, body, status, code) => {
    const asked = client(key).chat.completions.create({ messages, ...body });
    await expect(asked).rejects.toMatchObject({ status, code });
  });
});

describe('the official openai package of Python', () => {
  it('chats, streams, completes, embeds, lists, and raises its own errors', async () => {
    const got = await python<
      {
        [K in 'text' | 'expert' | 'streamed' | 'cheap' | 'completion']: string;
      } & {
        [K in 'usage' | 'streamedUsage' | 'chunks']: number;
      } & { dimensions: number[]; models: string[]; unknownModel: Refusal; wrongKey: Refusal }
    >('openai_client.py', mesh);
    for (const text of [got.text, got.streamed, got.completion]) expect(text).toContain('576');
    expect(mesh.remoteExperts).toContain(got.expert);
    expect(got.cheap).toBe('mixtral-8x7b');
    for (const count of [got.usage, got.streamedUsage, got.chunks]) expect(count).toBeGreaterThan(10);
    expect(got.dimensions).toEqual([384, 384]);
    expect(got.models).toEqual(expect.arrayContaining(['auto', ...mesh.experts]));
    expect(got.unknownModel).toEqual({ type: 'NotFoundError', status: 404, code: 'EXPERT_NOT_FOUND' });
    expect(got.wrongKey).toEqual({ type: 'AuthenticationError', status: 401, code: 'KEY_INVALID' });
  });
});

describe('tritonclient', () => {
  it('infers routed and by name, plain and with asyncio', async () => {
    const { plain, asyncio } = await python<{
      plain: Record<string, unknown>;
      asyncio: { ready: boolean; experts: string[]; outputs: Record<string, number[]> };
    }>('triton_client.py', mesh);
    expect(plain).toMatchObject({
      live: true,
      ready: true,
      modelReady: true,
      metadata: 'snips7',
      expert: ['snips7@2'],
      label: ['AddToPlaylist'],
      named: 'snips7',
      namedVersion: '2',
      refused: { status: 'StatusCode.NOT_FOUND', message: expect.stringContaining('nobody') as string },
    });
    expect((plain['score'] as number[])[0]).toBeGreaterThan(0.5);
    expect(asyncio.ready).toBe(true);
    expect(asyncio.experts).toHaveLength(8);
    expect(asyncio.experts.filter((expert) => expert === 'snips7@2').length).toBeGreaterThanOrEqual(4);
    expect(Object.values(asyncio.outputs).every(([batch]) => batch === 2)).toBe(true);
  });
});

describe('tritonclient over HTTP', () => {
  it('infers at the gateway and at a host: binary, JSON, compressed, plain and with asyncio', async () => {
    const { door, host, asyncio } = await python<{
      door: Record<string, unknown>;
      host: Record<string, unknown>;
      asyncio: { ready: boolean; experts: string[]; outputs: Record<string, number[]> };
    }>('triton_http_client.py', { ...mesh, hostHttp: mesh.httpOf('expert-host') });
    const saying = (text: string) => expect.stringContaining(text) as string;
    expect(door).toMatchObject({
      live: true,
      ready: true,
      modelReady: true,
      metadata: 'snips7',
      index: expect.arrayContaining(['auto', ...mesh.experts]) as string[],
      id: 'mine',
      expert: ['snips7@2'],
      label: ['AddToPlaylist'],
      jsonLabel: ['AddToPlaylist'],
      named: ['snips7', '2'],
      packed: 40,
      later: ['BookRestaurant'],
      refused: { status: '404', message: saying('EXPERT_NOT_FOUND') },
      wrongKey: { status: '401', message: saying('KEY_INVALID') },
      late: { status: '504', message: saying('DEADLINE_EXCEEDED') },
    });
    expect(door['jsonScore']).toEqual(door['score']);
    expect(host).toMatchObject({
      live: true,
      server: expect.arrayContaining(['binary_tensor_data', 'classification', 'statistics']) as string[],
      classes: [saying('BookRestaurant'), expect.any(String)],
      config: ['snips7', 'TYPE_STRING', 0],
      readyWhileUnloaded: false,
      readyAgain: true,
    });
    expect((host['inferences'] as number[])[0]).toBeGreaterThan(0);
    expect(asyncio.ready).toBe(true);
    expect(asyncio.experts.filter((expert) => expert === 'snips7@2').length).toBeGreaterThanOrEqual(4);
    expect(Object.values(asyncio.outputs).every(([batch]) => batch === 40)).toBe(true);
  });
});

describe('grpcurl', () => {
  it('finds the services by reflection, and describes a method', async () => {
    const { stdout } = await grpcurl([mesh.grpc, 'list']);
    expect(stdout.split('\n')).toEqual(
      expect.arrayContaining([
        'grpc.health.v1.Health',
        'inference.GRPCInferenceService',
        'thalamus.gateway.v1.GatewayService',
      ]),
    );
    const described = await grpcurl([mesh.grpc, 'describe', 'thalamus.gateway.v1.GatewayService.Classify']);
    expect(described.stdout).toContain('rpc Classify');
  });

  it('asks the gateway and the inference service', async () => {
    const body = JSON.stringify({ input: 'Add this song to my workout playlist' });
    const typed = await grpcurl(['-d', body, mesh.grpc, 'thalamus.gateway.v1.GatewayService/Classify']);
    expect(JSON.parse(typed.stdout)).toMatchObject({ expert: 'snips7' });
    const contents = { bytes_contents: [Buffer.from('Book a table').toString('base64')] };
    const inputs = [{ name: 'text', datatype: 'BYTES', shape: ['1'], contents }];
    const infer = JSON.stringify({ model_name: 'auto', inputs });
    const routed = await grpcurl(['-d', infer, mesh.grpc, 'inference.GRPCInferenceService/ModelInfer']);
    expect(JSON.parse(routed.stdout)).toMatchObject({ modelName: expect.any(String) as string });
  });

  it('is told what is wrong, with its reason', async () => {
    const body = JSON.stringify({ input: 'hello', model: 'nobody' });
    const { exit, stderr } = await grpcurl([
      '-d',
      body,
      mesh.grpc,
      'thalamus.gateway.v1.GatewayService/Classify',
    ]);
    expect(exit).not.toBe(0);
    expect(stderr).toContain('NotFound');
    expect(stderr).toContain('EXPERT_NOT_FOUND');
  });
});
