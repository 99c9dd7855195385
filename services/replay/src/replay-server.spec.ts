import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paceOf, piecesOf, type Pace } from './pace.js';
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

  it('answers completions too, in their own form', async () => {
    const complete = (extra: object) =>
      fetch(`${base}/completions`, { method: 'POST', body: JSON.stringify({ model, prompt, ...extra }) });
    const whole = (await (await complete({})).json()) as { object: string; choices: { text: string }[] };
    expect(whole.object).toBe('text_completion');
    expect(whole.choices[0]?.text).toBe(recordings.answer(model, prompt));
    const events = (await (await complete({ stream: true })).text()).trim().split('\n\n');
    const text = events
      .slice(0, -1)
      .map((line) => (JSON.parse(line.slice('data: '.length)) as typeof whole).choices[0]?.text ?? '');
    expect(text.join('')).toBe(recordings.answer(model, prompt));
  });

  it('says so when it has no recordings of a model', async () => {
    const response = await ask({ ...question(prompt), model: 'nobody' });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'model_not_found', param: 'model' } });
  });

  it('reads a prompt in parts, and only the last of the user', async () => {
    const messages = [
      { role: 'user', content: 'something before' },
      { role: 'user', content: [{ type: 'text', text: prompt }, { type: 'image_url' }, null] },
      { role: 'assistant', content: 'something after' },
    ];
    expect((await ask({ model, messages })).status).toBe(200);
  });

  it('is ready, and lists its models and samples', async () => {
    expect((await fetch(new URL('/readyz', base))).status).toBe(200);
    const { data } = (await (await fetch(`${base}/models`)).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual(recordings.models);
    expect(await (await fetch(`${base}/samples`)).json()).toMatchObject({ data: recordings.prompts });
  });

  it.each([
    ['no JSON', '{', 400],
    ['no messages', '{"model":"x"}', 400],
    ['messages without a role', '{"model":"x","messages":[{}]}', 400],
    ['a body of more than 1 MiB', ' '.repeat(2 ** 20 + 1), 413],
  ])('refuses %s', async (_, body, status) => {
    const response = await fetch(`${base}/chat/completions`, { method: 'POST', body });
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { message: expect.any(String) as string } });
  });

  it('knows no other path', async () => {
    expect((await fetch(`${base}/embeddings`, { method: 'POST' })).status).toBe(404);
  });
});

describe('the pace of a replayed model', () => {
  it('is that of its kind, a little different for each prompt, and none when it is to be none', () => {
    const small = recordings.prompts
      .slice(0, 50)
      .map((each) => paceOf('mixtral-8x7b-instruct-v0.1', each, 1));
    const large = recordings.prompts.slice(0, 50).map((each) => paceOf('gpt-4-1106-preview', each, 1));
    const mean = (paces: readonly Pace[]) => paces.reduce((sum, { tokenMs }) => sum + tokenMs, 0) / 50;
    expect(mean(large)).toBeGreaterThan(2 * mean(small));
    expect(new Set(small.map(({ tokenMs }) => tokenMs)).size).toBeGreaterThan(20);
    expect(paceOf(model, prompt, 1)).toEqual(paceOf(model, prompt, 1));
    expect(paceOf(model, prompt, 0)).toEqual({ firstTokenMs: 0, tokenMs: 0 });
  });

  it('streams in pieces that make up the text', () => {
    for (const each of recordings.prompts.slice(0, 200)) expect(piecesOf(each).join('')).toBe(each);
    expect(piecesOf('')).toEqual([]);
  });
});

describe('a file of recordings', () => {
  it.each([
    ['is not there', undefined, 'cannot be read'],
    ['is not gzipped', Buffer.from('{}'), 'cannot be read'],
    ['has no head', gzipSync('{"prompt":"p","responses":["a"]}\n'), 'line 1'],
    [
      'has a line that is no answer',
      gzipSync('{"meta":{"set":"s","licence":"l","models":["m"]}}\n{"prompt":1}\n'),
      'line 2',
    ],
  ])('that %s is refused with the place', (_, bytes, part) => {
    const folder = mkdtempSync(join(tmpdir(), 'thalamus-replay-'));
    const file = join(folder, 'answers.jsonl.gz');
    if (bytes) writeFileSync(file, bytes);
    try {
      expect(() => Recordings.read(file)).toThrow(part);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
