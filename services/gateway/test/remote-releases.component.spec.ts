import { registryV1, releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answerWell, ChatUpstreamServer, failWith } from './support/chat-upstream.js';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';

/** Half of the conversations get the candidate, until something speaks against it: samples never suffice. */
const PLAN = { steps: [0.5], stepSeconds: 3_600, minimumSamples: 1_000_000, mirrorShare: 0 };
const REASON = 'chat is not mirrored, and nothing was compared offline';
/** The release looks at no time of the first 20 requests after a load. */
const ENOUGH = 120;

let gateway: GatewayUnderTest;
let before: ChatUpstreamServer;
let after: ChatUpstreamServer;
let releases: RpcClient<typeof releaseV1.ReleaseService>;
let registry: RpcClient<typeof registryV1.RegistryService>;
beforeAll(async () => {
  [before, after] = [await ChatUpstreamServer.start(), await ChatUpstreamServer.start()];
  gateway = await GatewayUnderTest.start({}, { updater: true });
  const options = { address: gateway.updaterAddress, defaultDeadlineMs: 10_000 };
  releases = createClient(releaseV1.ReleaseService, options);
  registry = createClient(registryV1.RegistryService, options);
});
afterAll(async () => {
  releases.close();
  registry.close();
  await gateway.stop();
  await before.stop();
  await after.stop();
});
beforeEach(() => {
  before.reset();
  after.reset();
});

const register = (
  name: string,
  version: string,
  { baseUrl }: Pick<ChatUpstreamServer, 'baseUrl'>,
  model = `${name}-model`,
) =>
  gateway.admin('POST', '/admin/v1/experts', {
    ...{ name, description: 'Talks.', version, baseUrl, model },
    prices: { inputUsdPerMtok: 0, outputUsdPerMtok: 0 },
  });
/** An expert that moves from one address to another: two versions, the first of them stable. */
async function make(name: string): Promise<void> {
  expect((await register(name, '1', before)).status).toBe(201);
  expect((await register(name, '2', after)).status).toBe(201);
}

async function begin(expert: string): Promise<string> {
  const { release } = await releases.start({ expert, toVersion: '2', ...PLAN, overrideReason: REASON });
  const id = release?.id ?? '';
  await waitUntil(`${id} is in canary`, async () => {
    const { body } = await gateway.admin('GET', `/admin/v1/releases/${id}`);
    return body['state'] === 'canary' && body['gateway'] !== null;
  });
  return id;
}

/** Asks in a conversation of its own; status, version and id of the request. */
async function ask(model: string, talk: number | string) {
  const messages = [{ role: 'user', content: `Hello number ${talk}` }];
  const response = await gateway.post('/v1/chat/completions', { model, messages }, { key: KEYS.acme.key });
  await response.arrayBuffer();
  const { status, headers } = response;
  const [version, id] = [headers.get('x-thalamus-version'), headers.get('x-request-id')];
  return { status, version, id: id ?? '' };
}

/** Conversations until the release has ended, or there were too many; all of them were answered. */
async function talkUntilBack(
  expert: string,
  id: string,
  judge: (answer: { version: string | null; id: string }) => Promise<unknown> = () => Promise.resolve(),
): Promise<releaseV1.Release> {
  for (let talk = 0; talk < ENOUGH; talk += 8) {
    const answers = await Promise.all(Array.from({ length: 8 }, (_, at) => ask(expert, talk + at)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    await Promise.all(answers.map(judge));
    const { release } = await releases.getRelease({ id });
    if (release?.state === releaseV1.ReleaseState.ROLLED_BACK) return release;
  }
  const back = await waitUntil(`${id} is taken back`, async () => {
    const { release } = await releases.getRelease({ id });
    return release?.state === releaseV1.ReleaseState.ROLLED_BACK ? release : undefined;
  });
  return back;
}

const faultOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (fault: unknown) => (ThalamusError.is(fault) ? fault : undefined),
  );
const codeIn = ({ body }: { readonly body: Record<string, unknown> }) =>
  (body['error'] as { readonly code: string } | undefined)?.code;

describe('a remote expert', () => {
  it('keeps the upstream of a version: another address or model is another version', async () => {
    await make('kept');
    for (const other of [() => register('kept', '1', after), () => register('kept', '1', before, 'other')]) {
      const answer = await other();
      expect([answer.status, codeIn(answer)]).toEqual([409, 'REVISION_CONFLICT']);
    }
    await ask('kept', 'before');
    expect([before.asked.length, after.asked.length]).toEqual([1, 0]);
    expect(before.asked[0]?.body['model']).toBe('kept-model');
    // What is registered with the same settings again changes nothing.
    expect((await register('kept', '1', before)).status).toBe(201);
  });

  it('changes its stable version by a release, or by hand with a reason', async () => {
    await make('moved');
    const channel = { expert: 'moved', channel: registryV1.Channel.STABLE, version: '2' };
    const bare = await faultOf(registry.setChannel(channel));
    expect(bare?.code).toBe('REQUEST_INVALID');
    expect(bare?.message).toContain('give the reason');
    const path = '/admin/v1/experts/moved/channels';
    expect((await gateway.admin('POST', path, { channel: 'stable', version: '2' })).status).toBe(400);
    // Nor does a release begin without any check before callers get the candidate.
    expect((await faultOf(releases.start({ expert: 'moved', toVersion: '2', ...PLAN })))?.code).toBe(
      'REQUEST_INVALID',
    );
    expect((await ask('moved', 1)).version).toBe('1');
    await registry.setChannel({ ...channel, reason: 'the old address closes tonight' });
    await waitUntil('the other address answers', async () => (await ask('moved', 1)).version === '2');
  });
});

// Hundreds of requests, which take long where the machine is busy: a bound against hanging.
describe('the release of another upstream', { timeout: 240_000 }, () => {
  it('goes on while it does as well as the one before', async () => {
    await make('sound');
    const id = await begin('sound');
    for (let talk = 0; talk < 64; talk += 8)
      await Promise.all(Array.from({ length: 8 }, (_, at) => ask('sound', talk + at)));
    const reading = await waitUntil('both have been counted', async () => {
      const { release } = await releases.getRelease({ id });
      const { stableRequests = 0n, candidateRequests = 0n } = release?.live ?? {};
      return stableRequests + candidateRequests === 64n ? release : undefined;
    });
    expect(reading.state).toBe(releaseV1.ReleaseState.CANARY);
    expect(Number(reading.live?.candidateRequests)).toBeGreaterThan(10);
    expect(reading.live?.tests.filter(({ alarm }) => alarm)).toEqual([]);
    const { release } = await releases.rollBack({ releaseId: id, reason: 'seen enough' });
    expect(release?.state).toBe(releaseV1.ReleaseState.ROLLED_BACK);
  });

  it('gives part of the conversations to it, and is taken back when it fails; no request does', async () => {
    await make('failing');
    after.behave = failWith(503);
    const id = await begin('failing');
    const back = await talkUntilBack('failing', id);
    expect(back.history.at(-1)).toMatchObject({ by: 'gate' });
    expect(back.history.at(-1)?.reason).toContain('canary.failures');
    expect(after.asked.length).toBeGreaterThan(0);
    await waitUntil('the gateway goes by it', async () => {
      const { body } = await gateway.admin('GET', `/admin/v1/releases/${id}`);
      return body['gateway'] === null;
    });
    after.reset();
    const later = await Promise.all(Array.from({ length: 16 }, (_, at) => ask('failing', `after it ${at}`)));
    expect(new Set(later.map(({ version }) => version))).toEqual(new Set(['1']));
    expect(after.asked).toEqual([]);
  });

  it('is taken back when it is slower', async () => {
    await make('slow');
    after.behave = (response, asked) => {
      setTimeout(() => answerWell(response, asked), 250);
    };
    const back = await talkUntilBack('slow', await begin('slow'));
    expect(back.history.at(-1)?.reason).toContain('canary.latency');
  });

  it('is taken back when feedback on it is worse', async () => {
    await make('worse');
    const id = await begin('worse');
    const versions = new Set<string | null>();
    const back = await talkUntilBack('worse', id, ({ version, id: request }) => {
      versions.add(version);
      const feedback = { request_id: request, score: version === '2' ? 0.1 : 0.9 };
      return gateway.post('/v1/feedback', feedback, { key: KEYS.acme.key });
    });
    expect(back.history.at(-1)?.reason).toContain('canary.quality');
    expect([...versions].sort()).toEqual(['1', '2']);
  });
});
