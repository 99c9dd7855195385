import { registryV1 } from '@thalamus/contracts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ChatMesh, type Answer } from './support/chat-mesh.js';
import { failWith } from './support/chat-upstream.js';

const TALKS = Array.from({ length: 30 }, (_, index) => `Talk number ${index}`);

let mesh: ChatMesh;
beforeAll(async () => {
  mesh = await ChatMesh.start();
  // A second version of alpha, served by beta's address.
  const value = {
    ...{ expert: 'alpha', version: '2', task: 'text-generation' },
    kind: registryV1.ExpertKind.UPSTREAM,
    upstream: { baseUrl: mesh.beta.baseUrl, model: 'alpha-2', keyReference: '' },
  };
  await mesh.gateway.register('version/alpha@2', { case: 'version', value });
});
afterAll(() => mesh.stop());
beforeEach(async () => {
  await release({ state: 'ROLLED_BACK' });
  await mesh.reset();
});

const release = (summary: object) =>
  mesh.gateway.release('chat-release', {
    ...{ expert: 'alpha', fromVersion: '1', toVersion: '2', state: 'CANARY', weight: 1 },
    ...summary,
  });
const armOf = ({ headers }: Answer) =>
  `${headers.get('x-thalamus-version')} ${headers.get('x-thalamus-channel')}`;
const opening = (text: string) => ({
  messages: [
    { role: 'system', content: text },
    { role: 'user', content: 'What is 6 times 7?' },
  ],
});

describe('a canary of a chat model', () => {
  it('keeps each conversation with one version, also as it goes on', async () => {
    await release({ weight: 0.5 });
    const arms = new Set<string>();
    for (const talk of TALKS) {
      const { messages } = opening(talk);
      const first = await mesh.chat({ model: 'alpha', messages });
      const next = [
        ...messages,
        { role: 'assistant', content: '42' },
        { role: 'user', content: 'And 7 times 8?' },
      ];
      const second = await mesh.chat({ model: 'alpha', messages: next });
      expect([first.status, armOf(second)]).toEqual([200, armOf(first)]);
      arms.add(armOf(first));
    }
    expect([...arms].sort()).toEqual(['1 stable', '2 candidate']);
  });

  it('keeps a conversation that the caller names with one version, whatever it says', async () => {
    await release({ weight: 0.5 });
    const headers = { 'x-thalamus-conversation': 'talk-7' };
    const arms = new Set<string>();
    for (const talk of TALKS)
      arms.add(armOf(await mesh.chat({ model: 'alpha', ...opening(talk) }, { headers })));
    expect(arms.size).toBe(1);
  });

  it('holds for what the router chooses, whole and streamed, and is told of', async () => {
    await release({});
    for (const stream of [false, true]) {
      const answer = await mesh.chat({ stream });
      expect([answer.status, armOf(answer)]).toEqual([200, '2 candidate']);
      expect(await mesh.completed(answer)).toMatchObject({
        ...{
          expert: 'alpha',
          version: '2',
          channel: 'candidate',
          releaseId: 'chat-release',
          answerLabel: '',
        },
      });
    }
    expect(mesh.alpha.asked).toEqual([]);
  });

  it.each([false, true])('costs no request when it cannot answer; streamed: %s', async (stream) => {
    await release({});
    // Not even a failure that no other expert is asked after.
    mesh.beta.behave = failWith(400);
    for (let count = 0; count < 15; count++) {
      const answer = await mesh.chat({ model: 'alpha', stream });
      expect([answer.status, armOf(answer)]).toEqual([200, '1 stable']);
      const told = await mesh.completed(answer);
      expect(told).toMatchObject({
        channel: 'stable',
        version: '1',
        errorCode: '',
        releaseId: 'chat-release',
      });
      expect(told.candidateErrorCode).not.toBe('');
    }
  });

  it.each([false, true])('has half of the time that a request has; streamed: %s', async (stream) => {
    await release({});
    mesh.beta.behave = () => undefined;
    const headers = { 'x-request-timeout-ms': '6000' };
    const answer = await mesh.chat({ model: 'alpha', stream }, { headers });
    expect([answer.status, armOf(answer)]).toEqual([200, '1 stable']);
    expect((await mesh.completed(answer)).candidateErrorCode).not.toBe('');
  });

  it('goes on to the next choice of the router when neither version answers', async () => {
    await release({});
    mesh.alpha.behave = failWith(503);
    mesh.beta.behave = (response, asked, request) => {
      if (asked.body['model'] === 'alpha-2') failWith(503)(response, asked, request);
      else {
        response.setHeader('content-type', 'application/json');
        response.end('{"id":"x","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}');
      }
    };
    const answer = await mesh.chat();
    expect([answer.status, answer.headers.get('x-thalamus-expert')]).toEqual([200, 'beta']);
    expect(answer.headers.get('x-thalamus-channel')).toBeNull();
  });
});
