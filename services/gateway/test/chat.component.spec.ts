import { MAX_PROMPT_BYTES } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answers } from '../src/adapters/http/answer-schemas.js';
import { beginEvents, chunkOf, DONE, event, failWith, USAGE } from './support/chat-upstream.js';
import { ChatMesh, errorOf, eventsOf, UPSTREAM_KEY } from './support/chat-mesh.js';
import { decision } from './support/fake-services.js';
import { KEYS } from './support/gateway-under-test.js';

let mesh: ChatMesh;
beforeAll(async () => {
  mesh = await ChatMesh.start();
});
afterAll(() => mesh.stop());
beforeEach(() => mesh.reset());

describe('a whole chat answer', () => {
  it('is that of the best model, with who gave it and what it cost', async () => {
    const answer = await mesh.chat({ temperature: 0, tools: [{ type: 'function' }] });
    expect(answer.status).toBe(200);
    const body: unknown = JSON.parse(answer.text);
    expect(answers.completion.parse(body)).toMatchObject({
      choices: [{ message: { role: 'assistant', content: 'Hello' } }],
      usage: USAGE,
    });
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(answer.headers.get('x-thalamus-expert')).toBe('alpha');
    expect(answer.headers.get('x-thalamus-version')).toBe('1');
    expect(answer.headers.get('x-thalamus-decision')).toBe('test-router@3; loss=0.250; total=0.375');
    expect(mesh.alpha.asked).toMatchObject([
      {
        path: '/v1/chat/completions',
        authorization: `Bearer ${UPSTREAM_KEY}`,
        body: { model: 'alpha-there', temperature: 0, tools: [{ type: 'function' }] },
      },
    ]);
    expect(Object.keys(mesh.alpha.asked[0]?.body ?? {})).not.toContain('thalamus');
    expect(await mesh.completed(answer)).toMatchObject({
      operation: 'chat/completions',
      task: 'text-generation',
      expert: 'alpha',
      inputTokens: 12,
      outputTokens: 3,
      costUsd: (12 * 10 + 3 * 30) / 1e6,
      errorCode: '',
      routed: true,
      tenant: 'acme',
    });
  });

  it('holds the decision when it is asked for', async () => {
    const answer = await mesh.chat({ thalamus: { decision: true } });
    const { thalamus } = answers.completion.parse(JSON.parse(answer.text));
    expect(thalamus).toMatchObject({
      expert: 'alpha',
      version: '1',
      decision: { routerModel: 'test-router' },
    });
  });

  it('comes from a named model without the router', async () => {
    const answer = await mesh.chat({ model: 'beta@1' });
    expect([answer.status, answer.headers.get('x-thalamus-expert')]).toEqual([200, 'beta']);
    expect(answer.headers.get('x-thalamus-decision')).toBeNull();
    expect(mesh.gateway.router.requests).toEqual([]);
    expect(mesh.beta.asked[0]).toMatchObject({ authorization: undefined, body: { model: 'beta-there' } });
  });

  it('of /v1/completions is asked for by prompt', async () => {
    const response = await mesh.gateway.post('/v1/completions', {
      model: 'auto',
      prompt: 'Once',
      max_tokens: 5,
    });
    expect(await response.json()).toMatchObject({ choices: [{ text: 'Hello' }] });
    expect(mesh.alpha.asked).toMatchObject([
      { path: '/v1/completions', body: { model: 'alpha-there', prompt: 'Once', max_tokens: 5 } },
    ]);
    expect((await mesh.completed(response)).operation).toBe('completions');
  });
});

describe('a conversation', () => {
  const turn = (role: string, content: string) => ({ role, content });
  const asked = () =>
    mesh.gateway.router.requests.map(({ prompt, currentExpert }) => ({ prompt, currentExpert }));

  it('is routed by its last message and what was before, and its expert is named', async () => {
    const opening = [turn('system', 'Be brief.'), turn('user', '[flag: size=1] What is a bolt?')];
    await mesh.chat({ messages: opening });
    const later = [
      ...opening,
      turn('assistant', 'A length of cloth.'),
      turn('user', '[flag: size=0.5] And two?'),
    ];
    await mesh.chat({ messages: later, tools: [{ type: 'function', function: { name: 'convert' } }] });
    await mesh.chat({ messages: [turn('user', 'Another one')] });
    expect(asked()).toEqual([
      { prompt: 'user: What is a bolt?\n\n<context>\nsystem: Be brief.\n</context>', currentExpert: '' },
      {
        prompt: [
          'user: And two?',
          '',
          '<context>',
          'system: Be brief.',
          'tools: convert',
          'user: [flag: size=1] What is a bolt?',
          'assistant: A length of cloth.',
          '</context>',
        ].join('\n'),
        currentExpert: 'alpha',
      },
      { prompt: 'Another one', currentExpert: '' },
    ]);
    const weights = mesh.gateway.router.requests.map(({ flags }) => flags.map(({ form }) => form.value));
    expect(weights).toEqual([[1], [0.5], []]);
    // The model gets the messages as they are, without the tag of the last.
    expect(mesh.alpha.asked[1]?.body).toMatchObject({
      messages: [opening[0], opening[1], later[2], turn('user', 'And two?')],
    });
  });

  it.each([
    ['nothing but flag tags', '[flag: size=0.5]', [0.5]],
    ['no text', '', []],
  ])(
    'is routed by what was before when its last message is %s, as OpenAI takes one',
    async (_what, last, weights) => {
      const before = [turn('user', 'What is a bolt?'), turn('assistant', 'A length of cloth.')];
      expect((await mesh.chat({ messages: [...before, turn('user', last)] })).status).toBe(200);
      expect(asked()[0]?.prompt).toBe(
        'user: \n\n<context>\nuser: What is a bolt?\nassistant: A length of cloth.\n</context>',
      );
      expect(mesh.gateway.router.requests[0]?.flags.map(({ form }) => form.value)).toEqual(weights);
      expect(mesh.alpha.asked[0]?.body['messages']).toEqual([...before, turn('user', '')]);
    },
  );

  it.each([
    ['nothing but flag tags', [turn('user', '[flag: size=0.5]')]],
    ['no text', [turn('user', ' ')]],
    ['no message of a user', [turn('assistant', 'Hello')]],
  ])('that is %s is refused: there is nothing to route by', async (_what, messages) => {
    const answer = await mesh.chat({ messages });
    expect([answer.status, errorOf(answer).code]).toEqual([400, 'REQUEST_INVALID']);
    expect(errorOf(answer).message).toContain('nothing to route by');
    expect(asked()).toEqual([]);
  });

  it('without text goes to the model that is named, which knows what to make of it', async () => {
    await mesh.chat({ model: 'alpha', messages: [turn('user', '')] });
    expect(mesh.alpha.asked[0]?.body['messages']).toEqual([turn('user', '')]);
  });

  it('is routed by its last message alone where that leaves no room for what was before', async () => {
    const words = (bytes: number) => 'word '.repeat(bytes / 5).padEnd(bytes, '.');
    const long = words(MAX_PROMPT_BYTES - 20);
    const roomy = await ChatMesh.start({ THALAMUS_MAX_BODY_BYTES: String(2 * MAX_PROMPT_BYTES) });
    try {
      await roomy.chat({ messages: [turn('system', 'Be brief.'), turn('user', long)] });
      await roomy.chat({
        messages: [turn('system', 'Be brief.'), turn('user', words(MAX_PROMPT_BYTES + 1))],
      });
      const prompts = roomy.gateway.router.requests.map(({ prompt }) => prompt);
      expect(prompts.map((prompt) => prompt.length)).toEqual([long.length, MAX_PROMPT_BYTES + 1]);
    } finally {
      await roomy.stop();
    }
  });

  it('is that of its tenant, and of whom the caller names', async () => {
    const later = [turn('user', 'Hello'), turn('assistant', 'Hi'), turn('user', 'Go on')];
    await mesh.chat({ messages: later });
    await mesh.chat({ messages: later }, { key: KEYS.globex.key });
    await mesh.chat({ messages: later, thalamus: { current_expert: 'beta' } });
    expect(asked().map(({ currentExpert }) => currentExpert)).toEqual(['', '', 'beta']);
  });
});

describe('a streamed chat answer', () => {
  it('has the shape of OpenAI, and usage only for who asked for it', async () => {
    const answer = await mesh.chat({ stream: true });
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = eventsOf(answer);
    expect(events.at(-1)).toBe('[DONE]');
    const chunks = events.slice(0, -1).map((data) => JSON.parse(data) as { choices: { delta: object }[] });
    expect(chunks.map(({ choices }) => choices[0]?.delta)).toEqual([{ content: 'Hel' }, { content: 'lo' }]);
    expect(answer.headers.get('x-thalamus-expert')).toBe('alpha');
    expect(await mesh.completed(answer)).toMatchObject({ inputTokens: 12, outputTokens: 3, errorCode: '' });
    expect(mesh.alpha.asked[0]?.body).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
    });
    const counted = eventsOf(await mesh.chat({ stream: true, stream_options: { include_usage: true } }));
    expect(JSON.parse(counted.at(-2) ?? '')).toMatchObject({ choices: [], usage: USAGE });
  });

  it('ends with the decision when it is asked for', async () => {
    const events = eventsOf(await mesh.chat({ stream: true, thalamus: { decision: true } }));
    // 12 tokens in at 10 USD a million, 3 out at 30.
    expect(JSON.parse(events.at(-2) ?? '')).toMatchObject({
      object: 'thalamus.decision',
      expert: 'alpha',
      costUsd: 0.00021,
    });
  });

  it('keeps its connection for the next one, though the upstream ends it a little later', async () => {
    mesh.alpha.behave = (response) => {
      beginEvents(response);
      response.write(event(chunkOf('Hel')) + DONE);
      setTimeout(() => response.end(), 20);
    };
    const before = mesh.alpha.connections;
    for (let turn = 0; turn < 8; turn++) {
      await mesh.chat({ stream: true, model: 'alpha' });
      await waitUntil('the upstream has ended its answer', () => mesh.alpha.ended === turn + 1);
    }
    expect([mesh.alpha.asked.length, mesh.alpha.abandoned]).toEqual([8, 0]);
    expect(mesh.alpha.connections - before).toBeLessThanOrEqual(1);
  });
});

describe('flags of a chat request', () => {
  const seen = () =>
    Object.fromEntries(
      (mesh.gateway.router.requests[0]?.flags ?? []).map(({ name, form }) => [name, form.value]),
    );

  it('come from the body, the header, the name of the model and the last message, in this order', async () => {
    const content = '[flag: verbosity=low] What is 6 times 7?';
    await mesh.chat(
      {
        model: 'auto:latency=0.3, size=0.7, cost=0.9',
        thalamus: { flags: { size: 0.5 } },
        messages: [
          { role: 'system', content: 'Be short.' },
          { role: 'user', content },
        ],
      },
      { headers: { 'x-thalamus-flags': 'size=0.1, cost=0.2' } },
    );
    expect(seen()).toEqual({ size: 0.5, cost: 0.2, latency: 0.3, verbosity: 'low' });
    expect(mesh.gateway.router.requests[0]).toMatchObject({
      prompt: 'user: What is 6 times 7?\n\n<context>\nsystem: Be short.\n</context>',
      task: 'text-generation',
    });
    expect(mesh.alpha.asked[0]?.body['messages']).toEqual([
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: 'What is 6 times 7?' },
    ]);
  });

  it('of a message that stands alone are taken off by the router', async () => {
    const content = '[flag: verbosity=low] What is 6 times 7?';
    await mesh.chat({ messages: [{ role: 'user', content }] });
    expect(seen()).toEqual({});
    expect(mesh.gateway.router.requests[0]).toMatchObject({ prompt: content, task: 'text-generation' });
    expect(mesh.alpha.asked[0]?.body['messages']).toEqual([{ role: 'user', content: 'What is 6 times 7?' }]);
  });

  it.each([
    ['the same one twice', { thalamus: { flags: 'size=1, size=2' } }, 'FLAG_INVALID'],
    ['an unknown one', { thalamus: { flags: { colour: 1 } } }, 'FLAG_INVALID'],
    ['an unknown field', { colour: 'red' }, 'REQUEST_INVALID'],
    ['no message of a user', { messages: [{ role: 'system', content: 'x' }] }, 'REQUEST_INVALID'],
    ['no messages', { messages: [] }, 'REQUEST_INVALID'],
    ['a composition', { model: 'compose:alpha+beta' }, 'REQUEST_INVALID'],
    ['a classifier', { model: 'banking' }, 'REQUEST_INVALID'],
  ])('%s: refused before anybody is asked, and told of', async (_what, body, code) => {
    const answer = await mesh.chat(body);
    expect([answer.status, errorOf(answer).code]).toEqual([400, code]);
    expect(mesh.alpha.asked.length + mesh.beta.asked.length).toBe(0);
    expect((await mesh.completed(answer)).errorCode).toBe(code);
  });
});

describe('who may be asked', () => {
  it('a policy that does not allow the model, and an unknown one, are refused', async () => {
    const forbidden = await mesh.chat({ model: 'alpha' }, { key: KEYS.strict.key });
    expect([forbidden.status, errorOf(forbidden).code]).toEqual([403, 'PERMISSION_DENIED']);
    expect((await mesh.chat({ model: 'nobody' })).status).toBe(404);
    expect((await mesh.chat({}, { key: KEYS.revoked.key })).status).toBe(401);
    expect(mesh.alpha.asked.length).toBe(0);
  });

  it('a choice of the router that is gone or not allowed is passed over', async () => {
    mesh.rank('removed-since', 'private', 'beta');
    expect((await mesh.chat()).headers.get('x-thalamus-expert')).toBe('beta');
    mesh.rank('removed-since');
    const none = await mesh.chat();
    expect([none.status, errorOf(none).code]).toEqual([404, 'EXPERT_NOT_FOUND']);
  });

  it('when the router abstains, the fallback of the policy is asked; without one it is an error that says why', async () => {
    await mesh.gateway.register('policy/globex', {
      case: 'policy',
      value: { tenant: 'globex', fallbackExpert: 'beta' },
    });
    mesh.gateway.router.answer = () =>
      Promise.resolve({ decision: decision({ abstained: true, reason: 'All are too dear.' }) });
    const refused = await mesh.chat();
    expect([refused.status, errorOf(refused).code]).toEqual([422, 'NO_SUITABLE_EXPERT']);
    expect(errorOf(refused).message).toContain('All are too dear.');
    await expect
      .poll(async () => (await mesh.chat({}, { key: KEYS.globex.key })).headers.get('x-thalamus-expert'), {
        timeout: 10_000,
      })
      .toBe('beta');
  });

  it('a fallback that does not chat is passed over by name, and nobody is asked', async () => {
    await mesh.gateway.register('policy/globex', {
      case: 'policy',
      value: { tenant: 'globex', fallbackExpert: 'banking' },
    });
    mesh.gateway.router.answer = () =>
      Promise.resolve({ decision: decision({ abstained: true, reason: 'All are too dear.' }) });
    const ask = () => mesh.chat({}, { key: KEYS.globex.key });
    await expect.poll(async () => (await ask()).status, { timeout: 10_000 }).toBe(422);
    const refused = errorOf(await ask());
    expect(refused.code).toBe('NO_SUITABLE_EXPERT');
    expect(refused.message).toContain('banking, serves text-classification, not text-generation.');
    expect(mesh.alpha.asked.length).toBe(0);
  });
});

describe('the next choice of the router', () => {
  it.each([false, true])('answers when the first cannot, streamed: %s', async (stream) => {
    mesh.alpha.behave = failWith(500);
    const answer = await mesh.chat({ stream });
    expect([answer.status, answer.headers.get('x-thalamus-expert')]).toEqual([200, 'beta']);
    expect(answer.headers.get('x-thalamus-decision')).toBe('test-router@3; loss=1.250; total=1.375');
    expect((await mesh.completed(answer)).expert).toBe('beta');
    expect([mesh.alpha.asked.length, mesh.beta.asked.length]).toEqual([1, 1]);
  });

  it('is not asked when the request itself is at fault, nor for a named model', async () => {
    mesh.alpha.behave = failWith(400);
    expect(errorOf(await mesh.chat()).code).toBe('REQUEST_INVALID');
    mesh.alpha.behave = failWith(500);
    expect((await mesh.chat({ model: 'alpha' })).status).toBe(503);
    expect(mesh.beta.asked.length).toBe(0);
  });

  it('is asked when the first has no key', async () => {
    await mesh.gateway.addChatModel({
      name: 'keyless',
      baseUrl: mesh.alpha.baseUrl,
      keyReference: 'file:none',
    });
    mesh.rank('keyless', 'beta');
    expect((await mesh.chat()).headers.get('x-thalamus-expert')).toBe('beta');
    const named = await mesh.chat({ model: 'keyless' });
    expect([named.status, errorOf(named).code]).toEqual([503, 'UPSTREAM_UNAVAILABLE']);
    expect(mesh.alpha.asked.length).toBe(0);
  });
});

describe('second tries', () => {
  it('have a budget: when the first choice refuses everybody, most requests end with its refusal', async () => {
    const own = await ChatMesh.start();
    try {
      // A 404 opens no circuit: the upstream is well, and does not know what is asked.
      own.alpha.behave = failWith(404);
      const all = [];
      for (let turn = 0; turn < 24; turn++) all.push(await own.chat());
      const statuses = all.map(({ status }) => status);
      expect(statuses.slice(0, 10)).toEqual(Array(10).fill(200));
      expect(statuses.filter((status) => status === 502).length).toBeGreaterThan(5);
      expect(own.alpha.asked.length).toBe(24);
      expect(own.beta.asked.length).toBe(statuses.filter((status) => status === 200).length);
    } finally {
      await own.stop();
    }
  });

  it('are not used up by a model that is out of rate limit: it is left alone for as long as it says', async () => {
    const own = await ChatMesh.start();
    try {
      own.alpha.behave = failWith(429, { 'retry-after': '600' });
      for (let turn = 0; turn < 24; turn++) {
        const answer = await own.chat({ stream: turn % 2 === 1 });
        expect([answer.status, answer.headers.get('x-thalamus-expert')]).toEqual([200, 'beta']);
      }
      expect(own.alpha.asked.length).toBe(1);
      const named = await own.chat({ model: 'alpha' });
      expect([named.status, errorOf(named).code]).toEqual([429, 'RATE_LIMITED']);
      expect(Number(named.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(own.alpha.asked.length).toBe(1);
    } finally {
      await own.stop();
    }
  });

  it('a model is asked again when its rate limit is over', async () => {
    const own = await ChatMesh.start();
    try {
      own.alpha.behave = failWith(429, { 'retry-after': '1' });
      expect((await own.chat()).headers.get('x-thalamus-expert')).toBe('beta');
      own.alpha.reset();
      await waitUntil('the first choice answers again', async () => {
        const answer = await own.chat();
        return answer.headers.get('x-thalamus-expert') === 'alpha';
      });
    } finally {
      await own.stop();
    }
  });
});
