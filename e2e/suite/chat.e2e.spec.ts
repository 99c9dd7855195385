import { waitUntil } from '@thalamus/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchedMesh } from '../support/mesh.js';
import { ROOT } from '../support/paths.js';
import { startThalamus } from '../support/run-command.js';
import { launchFresh } from '../support/start-mesh.js';

const { fleet } = JSON.parse(readFileSync(join(ROOT, 'zoo/zoo.json'), 'utf8')) as {
  fleet: { sample: string };
};
const MODELS = ['mixtral-8x7b', 'gpt-4-1106'];

let mesh: LaunchedMesh;
beforeAll(async () => {
  // A little of the recorded pace, so that a stream can be met in the middle of it.
  mesh = await launchFresh({ arguments: ['--replay-pace', '0.3'] });
});
afterAll(() => mesh.stop());

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}
interface Outcome {
  readonly requestId: string;
  readonly expert: string;
  readonly task: string;
  readonly inputTokens: number | string;
  readonly outputTokens: number | string;
  readonly costUsd: number;
}
interface Chunk {
  readonly object?: string;
  readonly choices?: readonly { readonly delta: { readonly content?: string } }[];
  readonly usage?: Usage;
  readonly error?: { readonly code: string; readonly message: string };
  readonly expert?: string;
  readonly costUsd?: number;
}

function ask(body: object, path = '/v1/chat/completions'): Promise<Response> {
  return fetch(`${mesh.http}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${mesh.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'auto', ...body }),
  });
}
const question = (content: string, extra: object = {}) => ({
  messages: [{ role: 'user', content }],
  ...extra,
});

async function eventsOf(response: Response): Promise<string[]> {
  const text = await response.text();
  return text
    .split('\n\n')
    .flatMap((event) => (event.startsWith('data: ') ? [event.slice('data: '.length)] : []));
}
const textOf = (chunks: readonly Chunk[]) =>
  chunks.map(({ choices }) => choices?.[0]?.delta.content ?? '').join('');

/** What the bus says of one request. */
async function completed(response: Response): Promise<Outcome> {
  const tail = startThalamus(['events', 'tail', '--from-beginning', '--data', mesh.dataFolder]);
  const id = response.headers.get('x-request-id');
  try {
    return await waitUntil(
      'the outcome is on the bus',
      () =>
        tail.said.stdout
          .split('\n')
          .slice(0, -1)
          .map((line) => (JSON.parse(line) as { value: Outcome }).value)
          .find(({ requestId }) => requestId === id),
      { timeoutMs: 30_000 },
    );
  } finally {
    tail.child.kill('SIGINT');
    await tail.ended;
  }
}

describe('chat through the mesh', () => {
  it('answers with what the chosen model once said, and says who it was', async () => {
    const response = await ask(question(fleet.sample, { thalamus: { decision: true } }));
    expect(response.status).toBe(200);
    const body = (await response.json()) as { choices: { message: { content: string } }[]; usage: Usage } & {
      thalamus: { expert: string; costUsd: number; decision: { ranked: { expert: string }[] } };
    };
    expect(body.choices[0]?.message.content).toContain('576');
    const expert = response.headers.get('x-thalamus-expert');
    expect(MODELS).toContain(expert);
    expect(response.headers.get('x-thalamus-decision')).toMatch(/^fleet-router@\d+; loss=/);
    expect(body.thalamus.expert).toBe(expert);
    expect(body.thalamus.decision.ranked.map((ranked) => ranked.expert).sort()).toEqual([...MODELS].sort());
    expect(body.usage.completion_tokens).toBeGreaterThan(10);
  });

  it('streams the same text word by word, then usage and decision', async () => {
    const asked = { stream: true, stream_options: { include_usage: true }, thalamus: { decision: true } };
    const response = await ask(question(fleet.sample, asked));
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = await eventsOf(response);
    expect(events.at(-1)).toBe('[DONE]');
    const chunks = events.slice(0, -1).map((data) => JSON.parse(data) as Chunk);
    expect(chunks.length).toBeGreaterThan(10);
    const expert = response.headers.get('x-thalamus-expert') ?? '';
    const whole = (await (await ask({ ...question(fleet.sample), model: expert })).json()) as {
      choices: { message: { content: string } }[];
    };
    expect(textOf(chunks)).toBe(whole.choices[0]?.message.content);
    expect(chunks.find(({ usage }) => usage)?.usage?.prompt_tokens).toBeGreaterThan(10);
    expect(chunks.at(-1)).toMatchObject({ object: 'thalamus.decision', expert });
  });

  it('goes to the cheap model for who minds the cost, however that is said, and costs as much as it says', async () => {
    const ways = [
      question(fleet.sample, { thalamus: { flags: 'cost=0.5', decision: true } }),
      question(fleet.sample, { model: 'auto:cost=0.5', thalamus: { decision: true } }),
    ];
    for (const way of ways) {
      const response = await ask(way);
      expect(response.headers.get('x-thalamus-expert')).toBe('mixtral-8x7b');
      const { usage, thalamus } = (await response.json()) as { usage: Usage; thalamus: { costUsd: number } };
      const tokens = usage.prompt_tokens + usage.completion_tokens;
      expect(thalamus.costUsd).toBeCloseTo((tokens * 0.6) / 1e6, 9);
    }
  });

  it.each([true, false])('leaves its tokens and cost on the bus, streamed: %s', async (stream) => {
    const response = await ask(question(fleet.sample, { model: 'gpt-4-1106', stream }));
    await response.text();
    const outcome = await completed(response);
    expect(outcome).toMatchObject({ expert: 'gpt-4-1106', task: 'text-generation' });
    const { inputTokens, outputTokens, costUsd } = outcome;
    expect(Number(outputTokens)).toBeGreaterThan(10);
    expect(costUsd).toBeCloseTo((Number(inputTokens) * 10 + Number(outputTokens) * 30) / 1e6, 9);
  });

  it('completes a prompt in the older form', async () => {
    const response = await ask({ prompt: fleet.sample, model: 'mixtral-8x7b' }, '/v1/completions');
    expect(await response.json()).toMatchObject({
      object: 'text_completion',
      choices: [{ text: expect.stringContaining('576') as string }],
    });
  });

  it.each([true, false])('helps who asks what nobody has recorded, streamed: %s', async (stream) => {
    const response = await ask(question('What is the capital of France?', { stream }));
    expect(response.status).toBe(404);
    const { error } = (await response.json()) as { error: { code: string; message: string; param: string } };
    expect(error).toMatchObject({ code: 'RESOURCE_NOT_FOUND', param: 'messages' });
    expect(error.message).toMatch(/has none to this prompt.*such as ".+".*thalamus chat --samples/);
    const { stdout } = await mesh.run(['chat', '--samples']);
    const [sample = ''] = /such as (".+");/.exec(error.message)?.slice(1) ?? [];
    expect(stdout.split('\n')).toContain(JSON.parse(sample));
  });

  it('lists its models, and nothing else is asked to chat', async () => {
    const response = await fetch(`${mesh.http}/v1/models`);
    const { data } = (await response.json()) as { data: { id: string; thalamus: { task: string } }[] };
    for (const id of MODELS)
      expect(data.find((model) => model.id === id)?.thalamus.task).toBe('text-generation');
    const refused = await ask(question('hello', { model: 'snips7' }));
    expect(refused.status).toBe(400);
  });
});

describe('thalamus chat', () => {
  it('prints the answer alone on standard output, and beside it who gave it and for how much', async () => {
    const { exit, stdout, stderr } = await mesh.run(['chat', fleet.sample, '--flag', 'cost=0.5']);
    expect(exit).toBe(0);
    expect(stdout).toContain('576');
    expect(stdout).not.toContain('tokens');
    expect(stderr).toMatch(/mixtral-8x7b@\d+: \d+ \+ \d+ tokens, 0\.0000\d+ USD, \d+\.\d s/);
  });

  it('answers with one document for scripts', async () => {
    const answer = await mesh.json<{ expert: string; answer: string; costUsd: number }>(['chat', '-'], {
      input: `${fleet.sample}\n`,
    });
    expect(MODELS).toContain(answer.expert);
    expect(answer.answer).toContain('576');
    expect(answer.costUsd).toBeGreaterThan(0);
  });

  it.each([
    [['chat'], 2, 'prompt is missing'],
    [['chat', 'hello'], 1, 'has none to this prompt'],
    [['chat', 'hello', '--model', 'nobody'], 1, 'No expert "nobody"'],
    [['chat', 'hello', '--flag', 'colour=1'], 2, 'colour'],
    [['chat', 'hello', '--url', 'http://127.0.0.1:1'], 3, 'Nothing answers'],
  ])('refuses %j', async (args, exit, part) => {
    const result = await mesh.run(args);
    expect(result.stderr).toContain(part);
    expect(result.stdout).toBe('');
    expect(result.exit).toBe(exit);
  });
});

describe('a replay upstream that is killed', () => {
  it('in the middle of an answer breaks it off with an error, and answers again once it is back', async () => {
    const before = mesh.pidOf('replay');
    const response = await ask(question(fleet.sample, { stream: true, model: 'gpt-4-1106' }));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    process.kill(before, 'SIGKILL');
    const decoder = new TextDecoder();
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read())
      rest += decoder.decode(part.value, { stream: true });
    expect(rest).not.toContain('[DONE]');
    const last = rest.trim().split('\n\n').at(-1) ?? '';
    const { error } = JSON.parse(last.slice('data: '.length)) as Chunk;
    expect(error?.code).toBe('UPSTREAM_UNAVAILABLE');
    expect(error?.message).toContain('gpt-4-1106');
    await waitUntil('the replay upstream is started again', () => mesh.pidOf('replay') !== before);
    const again = await waitUntil('chat answers again', async () => {
      const answer = await ask(question(fleet.sample));
      return answer.status === 200 ? answer : undefined;
    });
    expect(MODELS).toContain(again.headers.get('x-thalamus-expert'));
  });

  it('between answers is a clear error to whoever asks meanwhile', async () => {
    process.kill(mesh.pidOf('replay'), 'SIGKILL');
    const answers = await Promise.all(Array.from({ length: 4 }, () => ask(question(fleet.sample))));
    const failed = answers.filter(({ status }) => status !== 200);
    expect(failed.length).toBeGreaterThan(0);
    for (const answer of failed) {
      expect(answer.status).toBe(503);
      expect(((await answer.json()) as Chunk).error).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    }
    await waitUntil('chat answers again', async () => (await ask(question(fleet.sample))).status === 200, {
      timeoutMs: 30_000,
    });
  });
});
