import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Recordings } from './recordings.js';
import { ReplayServer } from './replay-server.js';

const recordings = Recordings.read(
  fileURLToPath(new URL('../../../zoo/fleet/gsm8k.jsonl.gz', import.meta.url)),
);
const server = new ReplayServer(recordings, { host: '127.0.0.1', port: 0, pace: 0 });
const [model = ''] = recordings.models;
const [prompt = ''] = recordings.prompts;
let base = '';
beforeAll(async () => {
  base = await server.start();
});
afterAll(() => server.close());

const ask = (body: unknown) =>
  fetch(`${base}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
const question = (content: string, extra: object = {}) => ({
  model,
  messages: [{ role: 'user', content }],
  ...extra,
});

describe('the replay upstream', () => {
  it('answers with what the model once said', async () => {
    const body = (await (await ask(question(prompt))).json()) as {
      choices: { message: { content: string } }[];
      usage: { completion_tokens: number };
    };
    expect(body.choices[0]?.message.content).toBe(recordings.answer(model, prompt));
    expect(body.usage.completion_tokens).toBeGreaterThan(0);
  });

  it('streams the same text piece by piece, usage when asked, then [DONE]', async () => {
    const text = await (
      await ask(question(prompt, { stream: true, stream_options: { include_usage: true } }))
    ).text();
    const events = text
      .trim()
      .split('\n\n')
      .map((line) => line.slice('data: '.length));
    expect(events.at(-1)).toBe('[DONE]');
    const chunks = events
      .slice(0, -1)
      .map((data) => JSON.parse(data) as { choices: { delta: { content?: string } }[]; usage?: object });
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe(
      recordings.answer(model, prompt),
    );
    expect(chunks.at(-1)?.usage).toBeDefined();
    expect(chunks.length).toBeGreaterThan(10);
  });

  it('lists samples when it was never asked that', async () => {
    const response = await ask(question(`${prompt} `));
    expect(response.status).toBe(404);
    const { error } = (await response.json()) as { error: { code: string; samples: string[] } };
    expect(error.code).toBe('not_recorded');
    expect(error.samples).toContain(prompt);
  });

  it.each([
    ['no JSON', '{', 400],
    ['no messages', '{"model":"x"}', 400],
  ])('refuses %s', async (_, body, status) => {
    const response = await fetch(`${base}/chat/completions`, { method: 'POST', body });
    expect(response.status).toBe(status);
  });
});
