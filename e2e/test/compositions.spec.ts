import { inference, RPC_METADATA } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchMesh, type LaunchedMesh } from '../support/mesh.js';

interface Answer {
  readonly status: number;
  readonly header: string;
  readonly expert: string;
  readonly label: string;
  readonly composition: { readonly model: string; readonly answered: string; readonly reason: string };
}

const MUSIC = 'Play some jazz by Miles Davis';
const FOUND = /^compose:overruling@\d+\+snips7@\d+; answered=composition; reason=(found|built)$/;

/** What `compose:a+b` promises, on a whole mesh: a caller gets an answer at once, and the composition as soon as it is there. */
describe('a composition that a request names', () => {
  let mesh: LaunchedMesh;
  beforeAll(async () => {
    mesh = await launchMesh();
  }, 150_000);
  afterAll(() => mesh.stop(), 60_000);

  const post = (path: string, body: unknown, timeoutMs: number) =>
    fetch(`${mesh.http}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${mesh.key}`,
        'x-request-timeout-ms': String(timeoutMs),
      },
      body: JSON.stringify(body),
    });
  const ask = async (model: string, timeoutMs = 10_000): Promise<Answer> => {
    const response = await post('/v1/classifications', { input: MUSIC, model }, timeoutMs);
    const body = (await response.json()) as {
      data?: { expert: string; label: string }[];
      thalamus?: { composition: Answer['composition'] };
    };
    if (!body.data?.[0] || !body.thalamus) throw new Error(JSON.stringify(body));
    const header = response.headers.get('x-thalamus-composition') ?? '';
    const { expert, label } = body.data[0];
    return { status: response.status, header, expert, label, composition: body.thalamus.composition };
  };

  let made = '';

  it('is answered by a parent at once, and by the composition when it has been made', async () => {
    const first = await ask('compose:snips7+overruling', 4_000);
    expect(first).toMatchObject({ status: 200, expert: 'snips7', label: 'PlayMusic' });
    expect(first.composition).toMatchObject({ answered: 'parents', reason: 'building' });
    const last = await waitUntil(
      'the composition answers',
      async () => {
        const answer = await ask('compose:snips7+overruling', 3_000);
        return answer.composition.answered === 'composition' ? answer : undefined;
      },
      { timeoutMs: 300_000, everyMs: 500 },
    );
    expect(last.header).toMatch(FOUND);
    expect(last.label).toContain('PlayMusic');
    expect(last.expert).toMatch(/^twin-[0-9a-f]{12}$/);
    made = last.expert;
  }, 330_000);

  it('is the same with its names swapped, and with its versions named', async () => {
    const swapped = await ask('compose:overruling+snips7');
    expect(swapped).toMatchObject({ expert: made, composition: { reason: 'found' } });
    expect(await ask(swapped.composition.model)).toMatchObject({ expert: made });
    const experts = await mesh.json<{ name: string }[]>(['experts', 'list']);
    expect(experts.filter(({ name }) => name.startsWith('twin-')).map(({ name }) => name)).toEqual([made]);
  });

  it('answers by OIP over gRPC and HTTP', async () => {
    const client = createClient(inference.GRPCInferenceService, {
      address: mesh.grpc,
      defaultDeadlineMs: 10_000,
    });
    const contents = { bytesContents: [new TextEncoder().encode(MUSIC)] };
    const answer = await client.modelInfer(
      {
        modelName: 'compose:overruling+snips7',
        inputs: [{ name: 'text', datatype: 'BYTES', shape: [1n], contents }],
      },
      { metadata: { [RPC_METADATA.authorization]: `Bearer ${mesh.key}` } },
    );
    client.close();
    expect(answer.parameters['composition']?.parameterChoice.value).toMatch(FOUND);
    const expert = answer.outputs.find(({ name }) => name === 'expert')?.contents?.bytesContents[0];
    expect(Buffer.from(expert ?? []).toString()).toBe(`${made}@1`);

    const inputs = [{ name: 'text', datatype: 'BYTES', shape: [1], data: [MUSIC] }];
    const response = await post('/v2/models/compose:snips7+overruling/infer', { inputs }, 10_000);
    const body = (await response.json()) as {
      parameters: { composition: string };
      outputs: { name: string; data: string[] }[];
    };
    expect(body.parameters.composition).toMatch(FOUND);
    expect(body.outputs.find(({ name }) => name === 'expert')?.data).toEqual([`${made}@1`]);
  });

  it.each([
    ['compose:snips7+minilm-l6', 400, 'REQUEST_INVALID', 'minilm-l6'],
    ['compose:snips7+nobody', 404, 'EXPERT_NOT_FOUND', 'nobody'],
    ['compose:snips7+snips7', 400, 'REQUEST_INVALID', 'snips7'],
  ])('refuses %s and names the parent', async (model, status, code, parent) => {
    const response = await post('/v1/classifications', { input: MUSIC, model }, 10_000);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect({ status: response.status, code: error.code }).toEqual({ status, code });
    expect(error.message).toContain(parent);
  });
});
