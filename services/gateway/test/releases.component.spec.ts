import { RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { waitUntil } from '@thalamus/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { KEYS, type GatewayUnderTest } from './support/gateway-under-test.js';
import { ReleasedExpert, scored, type Seen } from './support/released-expert.js';
import { decision } from './support/fake-services.js';
import { useGateway } from './support/use-gateway.js';

let gateway: GatewayUnderTest;
useGateway(
  (started) => {
    gateway = started;
  },
  { THALAMUS_CANDIDATE_TIMEOUT_MS: '4000' },
);

const live: ReleasedExpert[] = [];
afterEach(async () => {
  for (const expert of live.splice(0)) await expert.release({ state: 'ROLLED_BACK' });
});

async function make(name: string, options?: Parameters<typeof ReleasedExpert.make>[2]) {
  const expert = await ReleasedExpert.make(gateway, name, options);
  live.push(expert);
  return expert;
}

const conversations = Array.from({ length: 40 }, (_, index) => `talk-${index}`);
const askAll = (expert: ReleasedExpert) =>
  Promise.all(conversations.map((conversation) => expert.ask(conversation)));
const versions = (seen: readonly Seen[]) => seen.map(({ version }) => version);
const completed = (seen: Seen) =>
  waitUntil(`the end of ${seen.requestId} is told`, () =>
    gateway.completed.find(({ requestId }) => requestId === seen.requestId),
  );
/** Has the second version refuse; the first answers. */
const failCandidate = (refuse: () => Promise<never>) => {
  gateway.host.answer = (request) =>
    request.modelVersion === '2' ? refuse() : Promise.resolve(scored(request, [0.25, 0.75]));
};

describe('a canary', () => {
  it('gives the candidate to a part of the conversations, and with a greater weight to more of them', async () => {
    const expert = await make('growing');
    let before = new Set<string>();
    for (const weight of [0, 0.2, 0.6, 1]) {
      await expert.release({ weight });
      const seen = await askAll(expert);
      expect(versions(await askAll(expert))).toEqual(versions(seen));
      const now = new Set(conversations.filter((_, index) => seen[index]?.version === '2'));
      expect([...before].filter((conversation) => !now.has(conversation))).toEqual([]);
      expect(seen.map(({ channel }) => channel)).toEqual(
        seen.map(({ version }) => (version === '2' ? 'candidate' : 'stable')),
      );
      before = now;
    }
    expect(before.size).toBe(conversations.length);
  });

  it('gives all requests of a key one version, without a conversation', async () => {
    const expert = await make('keyed');
    await expert.release({ weight: 0.5 });
    const seen = await Promise.all(conversations.map(() => expert.ask()));
    expect(new Set(versions(seen)).size).toBe(1);
  });

  it('is told of in the events of both parts, with the label', async () => {
    const expert = await make('told');
    await expert.release({ weight: 0.5 });
    const seen = await askAll(expert);
    for (const [version, channel] of [
      ['1', 'stable'],
      ['2', 'candidate'],
    ]) {
      const one = seen.find((item) => item.version === version);
      expect(await completed(one!)).toMatchObject({
        ...{ expert: 'told', version, channel },
        ...{ releaseId: 'told-release', answerLabel: 'card_lost', errorCode: '' },
      });
    }
  });

  it('is nothing to who pins a version, nor to experts without a release', async () => {
    const expert = await make('pinned');
    await expert.release({});
    const pinned = await expert.ask('talk', { model: 'pinned@1' });
    expect(pinned).toMatchObject({ status: 200, version: '1', channel: null });
    expect(await completed(pinned)).toMatchObject({ channel: 'pinned', releaseId: '', answerLabel: '' });
    const other = await expert.ask('talk', { model: 'banking' });
    expect(other).toMatchObject({ status: 200, version: '2', channel: null });
    expect(await completed(other)).toMatchObject({ channel: 'stable', releaseId: '', answerLabel: '' });
  });

  it('holds for what the router chooses, and for tensors', async () => {
    const expert = await make('routed');
    await expert.release({});
    const ranked = [{ ...decision().ranked[0]!, expert: 'routed' }];
    gateway.router.answer = () => Promise.resolve({ decision: decision({ ranked }), strippedPrompt: 'x' });
    expect(await expert.ask('talk', { model: 'auto' })).toMatchObject({ version: '2', channel: 'candidate' });
    const inputs = [{ name: 'text', datatype: 'BYTES', shape: [1], data: ['x'] }];
    const answer = await gateway.post('/v2/models/routed/infer', { inputs });
    expect(await answer.json()).toMatchObject({ model_name: 'routed', model_version: '2' });
    const [event] = await waitUntil('the inference is told', () => {
      const found = gateway.completed.filter((item) => item.operation === 'ModelInfer');
      return found.length > 0 ? found : undefined;
    });
    expect(event).toMatchObject({
      channel: 'candidate',
      releaseId: 'routed-release',
      answerLabel: 'card_lost',
    });
  });

  it('gives a conversation the same version over gRPC as over HTTP', async () => {
    const expert = await make('spoken');
    await expert.release({ weight: 0.5 });
    const client = gateway.gateway();
    const found = await Promise.all(
      conversations.map(async (conversation) => {
        const metadata = {
          [RPC_METADATA.authorization]: `Bearer ${KEYS.acme.key}`,
          [RPC_METADATA.conversation]: conversation,
        };
        return (await client.classify({ input: 'x', model: 'spoken' }, { metadata })).version;
      }),
    );
    const metadata = {
      [RPC_METADATA.authorization]: `Bearer ${KEYS.acme.key}`,
      [RPC_METADATA.conversation]: 'my talk',
    };
    await expect(client.classify({ input: 'x', model: 'spoken' }, { metadata })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
    client.close();
    expect(found).toEqual(versions(await askAll(expert)));
    expect(new Set(found)).toEqual(new Set(['1', '2']));
  });

  it('of an expert of some tenants stays theirs', async () => {
    const expert = await make('theirs', { tenants: ['globex'] });
    await expert.release({});
    expect(await expert.ask('talk', { key: KEYS.globex.key })).toMatchObject({ status: 200, version: '2' });
    expect(await expert.ask('talk', { key: KEYS.acme.key })).toMatchObject({ status: 404 });
  });

  it('gives no candidate to who may not use what it is composed of', async () => {
    const expert = await make('composed-candidate');
    const value = { expert: expert.name, version: '2', task: expert.task, parents: ['private@1'] };
    await gateway.register(`version/${expert.name}@2`, { case: 'version', value });
    await expert.release({});
    expect(await expert.ask('talk', { key: KEYS.globex.key })).toMatchObject({ version: '2' });
    expect(await expert.ask('talk', { key: KEYS.acme.key })).toMatchObject({ version: '1', status: 200 });
  });

  it.each([
    ['a lease that has lapsed', { leaseMs: -1 }],
    ['shadow', { state: 'SHADOW' }],
    ['a draft', { state: 'DRAFT' }],
    ['a release that was taken back', { state: 'ROLLED_BACK' }],
    ['a state that nobody knows', { state: 'SOMETHING' }],
    ['a version before that is stable no more', { fromVersion: '7' }],
    ['a version that is not registered', { toVersion: '9' }],
  ])('leaves everybody with the stable version: %s', async (_, summary) => {
    const expert = await make('left');
    await expert.release({});
    expect(await expert.ask('talk')).toMatchObject({ version: '2' });
    await expert.release(summary);
    expect(versions(await askAll(expert))).toEqual(conversations.map(() => '1'));
  });

  it('ends with its lease when nobody renews it', async () => {
    const expert = await make('lapsing');
    await expert.release({ leaseMs: 1_000 });
    expect(await expert.ask('talk')).toMatchObject({ version: '2', channel: 'candidate' });
    await expect
      .poll(() => expert.ask('talk'), { timeout: 10_000 })
      .toMatchObject({ version: '1', channel: null });
  });

  it('waits for a host that has the candidate ready', async () => {
    const expert = await make('cold-candidate');
    await expert.reside('2', { leaseMs: -1 });
    await expert.release({});
    expect(await expert.ask('talk')).toMatchObject({ status: 200, version: '1', channel: 'stable' });
    await expert.reside('2');
    expect(await expert.ask('talk')).toMatchObject({ status: 200, version: '2', channel: 'candidate' });
  });
});

describe('a candidate that fails', () => {
  it.each([
    ['its host is dead', 'UPSTREAM_UNAVAILABLE', (expert: ReleasedExpert) => expert.loseCandidate()],
    [
      'its model fails',
      'INFERENCE_FAILED',
      () => {
        failCandidate(() => Promise.reject(new ThalamusError('INFERENCE_FAILED', 'NaN.')));
      },
    ],
    [
      'it was let go',
      'EXPERT_NOT_FOUND',
      () => {
        failCandidate(() => Promise.reject(new ThalamusError('EXPERT_NOT_FOUND', 'Not here.')));
      },
    ],
    [
      'it takes too long',
      'DEADLINE_EXCEEDED',
      () => {
        failCandidate(() => new Promise(() => undefined));
      },
    ],
  ])('costs no request: %s', async (_, code, fail) => {
    const expert = await make(`failing-${code.toLowerCase().replaceAll('_', '-')}`);
    await fail(expert);
    await expert.release({});
    const seen = await expert.ask('talk');
    expect(seen).toMatchObject({ status: 200, version: '1', channel: 'stable' });
    expect(await completed(seen)).toMatchObject({
      ...{ channel: 'stable', version: '1', errorCode: '', candidateErrorCode: code },
      ...{ releaseId: `${expert.name}-release`, answerLabel: 'card_lost' },
    });
  });

  it('whose answer is none costs no request either', async () => {
    const expert = await make('garbled');
    gateway.host.answer = (request) =>
      Promise.resolve(request.modelVersion === '2' ? { outputs: [] } : scored(request, [0.25, 0.75]));
    await expert.release({});
    const seen = await expert.ask('talk');
    expect(seen).toMatchObject({ status: 200, version: '1' });
    expect(await completed(seen)).toMatchObject({ errorCode: '', candidateErrorCode: 'UPSTREAM_ERROR' });
  });

  it('is told of with the stable version when neither can answer', async () => {
    const expert = await make('both');
    gateway.host.answer = (request) =>
      Promise.reject(
        new ThalamusError(request.modelVersion === '2' ? 'INFERENCE_FAILED' : 'TENSOR_INVALID', 'No.'),
      );
    await expert.release({});
    const seen = await expert.ask('talk');
    expect(seen.status).toBe(400);
    expect(await completed(seen)).toMatchObject({
      ...{ channel: 'stable', version: '1', releaseId: 'both-release' },
      ...{ errorCode: 'TENSOR_INVALID', candidateErrorCode: 'INFERENCE_FAILED' },
    });
  });
});

describe('under load', () => {
  /** Asks without pause, in ever new conversations, while something happens. */
  async function during(expert: ReleasedExpert, happens: () => Promise<void>): Promise<Seen[]> {
    const seen: Seen[] = [];
    let isOver = false;
    let next = 0;
    const ask = async () => {
      while (!isOver) seen.push(await expert.ask(`load-${next++}`));
    };
    const asking = [ask(), ask(), ask(), ask()];
    await waitUntil('requests are answered', () => seen.length > 20);
    await happens();
    const before = seen.length;
    await waitUntil('more requests are answered', () => seen.length > before + 20);
    isOver = true;
    await Promise.all(asking);
    return seen;
  }

  it('a promotion fails no request, and the new version answers all that come after it', async () => {
    const expert = await make('promoted');
    await expert.release({ weight: 0.5 });
    const seen = await during(expert, async () => {
      await expert.point('2');
      await expert.release({ state: 'STABLE', weight: 1 });
      await expert.reside('1', { leaseMs: -1 });
    });
    expect(seen.filter(({ status }) => status !== 200)).toEqual([]);
    expect(new Set(versions(seen))).toEqual(new Set(['1', '2']));
    expect(new Set(versions(await askAll(expert)))).toEqual(new Set(['2']));
  });

  it('a rollback fails no request, and no request after it goes to the candidate', async () => {
    const expert = await make('returned');
    failCandidate(() => Promise.reject(new ThalamusError('INFERENCE_FAILED', 'No.')));
    await expert.release({ weight: 0.5 });
    let asked = 0;
    const candidates = () => gateway.host.requests.filter((item) => item.modelVersion === '2').length;
    const seen = await during(expert, async () => {
      await expert.release({ state: 'ROLLED_BACK', weight: 0 });
      // Those on their way when the gateway heard of it.
      await expert.ask('marker');
      asked = candidates();
    });
    expect(seen.filter(({ status }) => status !== 200)).toEqual([]);
    expect(asked).toBeGreaterThan(0);
    await askAll(expert);
    expect(candidates()).toBeLessThanOrEqual(asked + 4);
  });
});
