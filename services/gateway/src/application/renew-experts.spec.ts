import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { RenewExperts } from './renew-experts.js';

const LIVE_S = 1_600n;

function setUp(renew: (expert: string) => Promise<unknown> = () => Promise.resolve()) {
  const clock = { now: 0 };
  const experts = new Map<string, registryV1.Expert>();
  const put = (name: string, expiresAtMs?: number, timeToLiveS = LIVE_S) => {
    const end = expiresAtMs === undefined ? {} : { expiresAt: timestampFromMs(expiresAtMs), timeToLiveS };
    experts.set(name, create(registryV1.ExpertSchema, { name, ...end }));
  };
  const renewed: [string, number][] = [];
  const renewals = new RenewExperts(
    { expert: (name) => experts.get(name) },
    (name) => {
      renewed.push([name, clock.now]);
      return renew(name);
    },
    () => clock.now,
  );
  return { clock, put, renewed, renewals };
}

describe('RenewExperts', () => {
  it('tells of an expert in use once a quarter of its time to live has passed, however often it is used', () => {
    const { clock, put, renewed, renewals } = setUp(() => {
      put('twin', clock.now + 1_600_000);
      return Promise.resolve();
    });
    put('twin', 1_600_000);
    for (; clock.now < 1_600_000; clock.now += 1_000) renewals.used('twin');
    expect(renewed.map(([, at]) => at)).toEqual([400_000, 800_000, 1_200_000]);
  });

  it('is silent about what does not end, is unknown, or does not say how long it lives', () => {
    const { put, renewed, renewals } = setUp();
    put('for-ever');
    put('of-an-earlier-release', 1, 0n);
    for (const name of ['for-ever', 'of-an-earlier-release', 'nobody']) renewals.used(name);
    expect(renewed).toEqual([]);
  });

  it('tries again after a pause when the registry cannot be told', async () => {
    const { clock, put, renewed, renewals } = setUp(() =>
      Promise.reject(new ThalamusError('UPSTREAM_UNAVAILABLE', 'away')),
    );
    put('twin', 1_000_000);
    for (; clock.now < 61_000; clock.now += 1_000) renewals.used('twin');
    await Promise.resolve();
    expect(renewed.map(([, at]) => at)).toEqual([0, 30_000, 60_000]);
  });
});
