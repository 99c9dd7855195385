import { DEFAULT_GATE_TEXT } from '@thalamus/compatibility';
import { releaseV1, RPC_METADATA } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { channelsOf, reached, ReleaseTraffic } from './released-expert.js';
import { errorOf, RunningUpdater, temporaryFolder } from './running-updater.js';

const { ReleaseState, RuleStatus } = releaseV1;
const FAST = { stepSeconds: 1, minimumSamples: 20, steps: [0.1, 0.5] };
const HEAD = 'version: 1\nname: strict\nrules:\n';
const OFFLINE =
  '  - { name: flips, measure: nfr, data: offline, threshold: 0.02, minimumSamples: 300, approvals: 2 }\n';
const LIVE = `  - { name: mirrored, measure: errorRate, data: shadow, threshold: 0.05, proof: harm, minimumSamples: 30 }
  - { name: served, measure: errorRate, data: canary, threshold: 0.05, proof: harm, minimumSamples: 60 }
`;
const CONTRACT = '  - { name: contract, measure: breakingDifferences, data: contract, threshold: 0 }\n';
const gateOf = (...rules: readonly string[]) => Buffer.from(HEAD + rules.join(''));

describe('a release with a gate', { timeout: 60_000 }, () => {
  const folder = temporaryFolder();
  let updater: RunningUpdater;
  let traffic: ReleaseTraffic;
  let clients: RunningUpdater['clients'];

  beforeAll(async () => {
    updater = await RunningUpdater.start(folder.path);
    ({ clients } = updater);
    await waitUntil('a writer is elected', async () => (await clients.registry.getStatus({})).isLeader);
    for (const version of ['1', '2'])
      await clients.registry.registerVersion({
        version: { manifestDigest: await updater.store({ version }) },
      });
    await clients.registry.registerVersion({
      version: { manifestDigest: await updater.store({ version: '3', maxTokens: 8 }) },
    });
    traffic = await ReleaseTraffic.open(folder.path);
    for (const version of ['2', '3']) await traffic.hostHas(version);
  });
  afterEach(async () => {
    for (const { id, state } of (await clients.release.listReleases({})).releases)
      if (state !== ReleaseState.ROLLED_BACK)
        await clients.release.rollBack({ releaseId: id, reason: 'over' });
  });
  afterAll(async () => {
    await traffic.close();
    await updater.stop();
    folder.remove();
  });

  /** Prediction files of items that were all right, of which the candidate has some wrong. */
  const files = async (items: number, wrong: number) => {
    const rows = (bad: number) =>
      Buffer.from(
        Array.from({ length: items }, (_, id) =>
          JSON.stringify({ id: String(id), label: 'a', prediction: id < bad ? 'b' : 'a' }),
        ).join('\n'),
      );
    const [before, after] = [rows(0), rows(wrong)];
    return {
      oldDigest: (await clients.artifacts.put(before)).digest,
      newDigest: (await clients.artifacts.put(after)).digest,
    };
  };
  const start = async (gate: Uint8Array, more = {}) => {
    const { release } = await clients.release.start({
      expert: 'pico',
      toVersion: '2',
      ...FAST,
      gate,
      ...more,
    });
    return release as releaseV1.Release;
  };
  const found = async (id: string) => (await clients.release.getRelease({ id })).release as releaseV1.Release;
  const rulesOf = ({ gate }: releaseV1.Release) =>
    Object.fromEntries(gate?.rules.map(({ rule, status }) => [rule, RuleStatus[status]]) ?? []);
  const approve = (releaseId: string, actor: string, reason = 'seen by hand') =>
    clients.release.approve({ releaseId, reason }, { metadata: { [RPC_METADATA.actor]: actor } });
  const waiting = (id: string, part: string) =>
    waitUntil(`it waits for ${part}`, async () => (await found(id)).waitingFor.includes(part));

  it('goes to stable when every rule passes, and no state ends before its rules have what they need', async () => {
    const release = await start(gateOf(CONTRACT, OFFLINE, LIVE), await files(400, 0));
    expect(release).toMatchObject({ state: ReleaseState.COMPARED, stopped: '' });
    expect(release.plan).toMatchObject({
      negativeFlipBudget: 0.02,
      errorLimit: 0.05,
      disagreementLimit: 0.2,
    });
    expect(release.gate?.name).toBe('strict');
    const { digest = '' } = release.gate ?? {};
    expect(await clients.artifacts.stat(digest as `sha256:${string}`)).toBeDefined();
    expect(release.history[0]?.evidence).toEqual([digest]);
    expect(rulesOf(release)).toEqual({
      ...{ contract: 'PASSED', flips: 'PASSED', mirrored: 'PENDING', served: 'PENDING' },
    });
    await reached(clients, release.id, ReleaseState.SHADOW);
    await traffic.mirrored(release, 25);
    await waiting(release.id, 'The gate strict has not passed yet. mirrored: errorRate is 0');
    const shadow = await found(release.id);
    expect(rulesOf(shadow)['mirrored']).toBe('INCONCLUSIVE');
    const tests = shadow.live?.tests.map(({ test }) => test);
    expect(tests).toContain('mirrored');
    expect(tests).toContain('mirror.flips');
    expect(tests).not.toContain('mirror.errors');
    await traffic.mirrored(release, 5);
    await reached(clients, release.id, ReleaseState.CANARY, 1);
    await traffic.completed(release, '2', 25);
    await reached(clients, release.id, ReleaseState.CANARY, 2);
    await traffic.completed(release, '2', 25);
    await waiting(release.id, 'served: errorRate is 0 (always-valid p 1; 50 samples; 60 are needed)');
    await traffic.completed(release, '2', 10);
    const done = await reached(clients, release.id, ReleaseState.STABLE);
    expect(new Set(Object.values(rulesOf(done)))).toEqual(new Set(['PASSED']));
  });

  it('stops where a rule fails offline: that cannot be approved, and goes on by hand alone', async () => {
    const release = await start(gateOf(OFFLINE), await files(400, 40));
    expect(release.stopped).toContain(
      'The gate strict failed. flips: nfr of all items is 10.00 % (40 of 400)',
    );
    expect(release.comparison?.verdict).toBe(releaseV1.Verdict.INCOMPATIBLE);
    expect(rulesOf(release)).toEqual({ flips: 'FAILED' });
    expect((await channelsOf(clients)).shadow).toBe('');
    const error = await errorOf(approve(release.id, 'ada'));
    expect(error.code).toBe('RELEASE_CONFLICT');
    expect(error.message).toContain('What failed cannot be approved');
    const on = await clients.release.advance({ releaseId: release.id, reason: 'the labels were wrong' });
    expect(on.release).toMatchObject({ state: ReleaseState.SHADOW, stopped: '' });
    await clients.release.rollBack({ releaseId: release.id });
    const overridden = await start(gateOf(OFFLINE), { ...(await files(400, 40)), overrideReason: 'known' });
    expect(overridden.stopped).toBe('');
  });

  it('lets two people approve what is inconclusive, each counted once', async () => {
    const release = await start(gateOf(OFFLINE, LIVE), await files(100, 0));
    expect(release.stopped).toContain(
      'The gate strict is inconclusive. flips: 100 items of all items are too few',
    );
    expect(release.stopped).toContain('2 more can approve it.');
    const revision = async () => (await clients.registry.getStatus({})).revision;
    expect((await approve(release.id, 'ada')).release?.stopped).toContain('1 more can approve it.');
    const after = await revision();
    expect((await approve(release.id, 'ada', 'again')).release?.stopped).toContain('1 more can approve it.');
    expect(await revision()).toBe(after);
    const { release: settled } = await approve(release.id, 'grace');
    expect(settled?.stopped).toBe('');
    expect(settled?.gate?.rules[0]).toMatchObject({ status: RuleStatus.PASSED });
    expect(settled?.gate?.approvals.map(({ by, reason }) => [by, reason])).toEqual([
      ['ada', 'seen by hand'],
      ['grace', 'seen by hand'],
    ]);
    await reached(clients, release.id, ReleaseState.SHADOW);
    // What was said of the offline comparison does not settle what mirrored requests say.
    await traffic.mirrored(release, 25);
    await waiting(release.id, 'mirrored: errorRate');
    const none = await errorOf(approve(release.id, 'ada'));
    expect(none.message).toContain('No rule of the gate strict asks for approvals while it is SHADOW');
    const audit = (await updater.audit()).filter(
      ({ action, subject }) => action === 'release.Approve' && subject === `release/${release.id}`,
    );
    expect(audit.map(({ actor, reason }) => [actor, reason])).toEqual([
      ['ada', 'seen by hand'],
      ['grace', 'seen by hand'],
    ]);
  });

  it('waits for people where a rule asks for them, also when the rest was overridden', async () => {
    const people = '  - { name: four-eyes, measure: approvals, data: approvals, threshold: 2 }\n';
    const release = await start(gateOf(OFFLINE, people), {
      ...(await files(400, 40)),
      overrideReason: 'known',
    });
    expect(release.stopped).toBe('The gate strict is inconclusive. four-eyes: 0 of 2 people have approved.');
    await approve(release.id, 'ada');
    expect((await approve(release.id, 'grace')).release).toMatchObject({ stopped: '' });
    await reached(clients, release.id, ReleaseState.SHADOW);
    expect(rulesOf(await found(release.id))).toEqual({ flips: 'FAILED', 'four-eyes': 'PASSED' });
  });

  it('takes back at once what breaks a rule about live traffic', async () => {
    const release = await start(gateOf(LIVE));
    await reached(clients, release.id, ReleaseState.SHADOW);
    await clients.release.advance({ releaseId: release.id, reason: 'no traffic at night' });
    await reached(clients, release.id, ReleaseState.CANARY, 1);
    await traffic.completed(release, '2', 8, 'INFERENCE_FAILED');
    const back = await reached(clients, release.id, ReleaseState.ROLLED_BACK);
    expect(back.history.at(-1)?.reason).toMatch(
      /served: \d of \d against the candidate, above the limit of 5/,
    );
    expect(rulesOf(back)['served']).toBe('FAILED');
  });

  it('measures the memory of both versions on the hosts', async () => {
    const memory = (threshold: number) =>
      gateOf(`  - { name: memory, measure: memoryRatio, data: shadow, threshold: ${threshold} }\n`);
    const first = await start(memory(1.3));
    await reached(clients, first.id, ReleaseState.SHADOW);
    await traffic.mirrored(first, 20);
    await waiting(first.id, 'memory: memoryRatio of shadow has not been measured.');
    await traffic.hostTakes({ 'pico@1': 100, 'pico@2': 125 });
    await reached(clients, first.id, ReleaseState.CANARY, 1);
    expect((await found(first.id)).gate?.rules[0]).toMatchObject({ value: 1.25, status: RuleStatus.PASSED });
    await clients.release.rollBack({ releaseId: first.id });
    const second = await start(memory(1.2));
    await reached(clients, second.id, ReleaseState.SHADOW);
    await traffic.mirrored(second, 20);
    const back = await reached(clients, second.id, ReleaseState.ROLLED_BACK);
    expect(back.history.at(-1)?.reason).toBe(
      'The gate strict failed. memory: memoryRatio is 1.25 (1.25 to 1.25; 1 samples), at most 1.2 is asked for.',
    );
  });

  it('judges the contract by its rules, and says in a dry run what each rule says', async () => {
    const given = { toVersion: '3', ...(await files(400, 0)) };
    const error = await errorOf(start(gateOf(CONTRACT, OFFLINE), given));
    expect(error.code).toBe('RELEASE_CONFLICT');
    expect(error.message).toContain(
      'The gate strict failed. contract: 1 breaking: At most 8 tokens are read now',
    );
    const before = (await clients.registry.getStatus({})).revision;
    const dry = await start(gateOf(CONTRACT, OFFLINE, LIVE), { ...given, dryRun: true });
    expect(rulesOf(dry)).toEqual({
      ...{ contract: 'FAILED', flips: 'PASSED', mirrored: 'PENDING', served: 'PENDING' },
    });
    expect(dry.stopped).toContain('contract: 1 breaking');
    expect((await clients.registry.getStatus({})).revision).toBe(before);
    const loose = CONTRACT.replace('threshold: 0', 'threshold: 1');
    expect(rulesOf(await start(gateOf(loose, OFFLINE), given))['contract']).toBe('PASSED');
  });

  it('takes the default gate, as it is printed', async () => {
    const dry = await start(Buffer.from(DEFAULT_GATE_TEXT), { ...(await files(400, 0)), dryRun: true });
    const statuses = Object.values(rulesOf(dry));
    expect(statuses).toEqual([...Array<string>(4).fill('PASSED'), ...Array<string>(9).fill('PENDING')]);
    expect(dry).toMatchObject({ state: ReleaseState.COMPARED, stopped: '' });
  });

  const rule = (fields: string) => gateOf(`  - { name: one, ${fields} }\n`);
  it.each([
    ['what is not YAML', Buffer.from('rules: ['), {}, 'gate (line 1) is no YAML'],
    [
      'an unknown field',
      rule('measure: nfr, data: offline, treshold: 1, threshold: 1'),
      {},
      'rules.0.treshold (line 4)',
    ],
    ['bytes that are no text', Buffer.from([0xff, 0xfe]), {}, 'it is not UTF-8'],
    [
      'a measure that no release has',
      rule('measure: regret, data: shadow, threshold: 1'),
      {},
      'the rule one asks for regret of shadow',
    ],
    [
      'a data set by name',
      rule('measure: nfr, data: held-out, threshold: 0.1'),
      {},
      'the rule one is about held-out',
    ],
    [
      'rules about offline, and no files',
      gateOf(OFFLINE),
      {},
      'the rule flips is about offline, and no prediction files',
    ],
    [
      'rules about shadow, and no shadow',
      gateOf(LIVE),
      { mirrorShare: 0, overrideReason: 'x' },
      'the rule mirrored is about shadow',
    ],
    [
      'a limit said twice',
      gateOf(LIVE),
      { errorLimit: 0.1 },
      'error_limit: the rule mirrored of the gate strict says it (0.05)',
    ],
    ['a rule twice', gateOf(LIVE, LIVE.replaceAll('name: ', 'name: b-')), {}, 'as mirrored is; keep one'],
    [
      'a share that cannot be tested',
      rule('measure: errorRate, data: canary, threshold: 0'),
      {},
      'the rule one has a threshold of 0',
    ],
  ])('is refused with %s', async (_, gate, more, part) => {
    const error = await errorOf(start(gate, more));
    expect(error.message).toContain(part);
    expect(error.code).toBe('REQUEST_INVALID');
    expect(error.violations.map(({ field }) => field).join()).toMatch(/^(gate|error_limit)/);
  });

  it('is refused with more than 64 KiB, and approvals need a reason and a gate', async () => {
    const large = await errorOf(start(Buffer.alloc(64 * 1024 + 1, '#')));
    expect([large.code, large.message]).toEqual([
      'REQUEST_TOO_LARGE',
      'The gate has 65537 bytes; a release takes at most 65536.',
    ]);
    const release = await start(Buffer.alloc(0));
    expect(release.gate).toBeUndefined();
    expect((await errorOf(approve(release.id, 'ada', ' '))).code).toBe('REQUEST_INVALID');
    expect((await errorOf(approve(release.id, 'ada'))).message).toContain('It has no gate');
    expect((await errorOf(approve('none', 'ada'))).code).toBe('RESOURCE_NOT_FOUND');
  });
});
