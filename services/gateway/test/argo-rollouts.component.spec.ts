import { releaseV1 } from '@thalamus/contracts';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { waitUntil } from '@thalamus/testing';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { VERDICTS } from '../src/domain/release-verdict.js';
import { ChatUpstreamServer } from './support/chat-upstream.js';
import { GatewayUnderTest, ROLE_KEYS } from './support/gateway-under-test.js';

/** What of an AnalysisTemplate says how the gateway is asked, and what its answer means. */
interface Metric {
  readonly provider: {
    readonly web: {
      readonly url: string;
      readonly jsonPath: string;
      readonly headers: readonly { readonly key: string; readonly value: string }[];
    };
  };
  readonly successCondition: string;
  readonly failureCondition: string;
}

const example = new URL('../../../helm/thalamus/examples/argo-rollouts/values.yaml', import.meta.url);
const values = parse(readFileSync(example, 'utf8')) as {
  readonly extraObjects: readonly [{ readonly spec: { readonly metrics: readonly [Metric] } }];
};
const [metric] = values.extraObjects[0].spec.metrics;

let gateway: GatewayUnderTest;
let upstream: ChatUpstreamServer;
let updater: RpcClient<typeof releaseV1.ReleaseService>;
beforeAll(async () => {
  upstream = await ChatUpstreamServer.start();
  gateway = await GatewayUnderTest.start({}, { updater: true });
  updater = createClient(releaseV1.ReleaseService, {
    address: gateway.updaterAddress,
    defaultDeadlineMs: 10_000,
  });
  const prices = { inputUsdPerMtok: 0, outputUsdPerMtok: 0 };
  const expert = {
    name: 'talker',
    description: 'Talks.',
    baseUrl: upstream.baseUrl,
    model: 'talker',
    prices,
  };
  for (const version of ['1', '2', '3'])
    expect((await gateway.admin('POST', '/admin/v1/experts', { ...expert, version })).status).toBe(201);
});
afterAll(async () => {
  updater.close();
  await gateway.stop();
  await upstream.stop();
});

/** Measures once as the web provider does: any status but 2xx is an error, what meets no condition is inconclusive. */
async function measure(version: string): Promise<string> {
  const key = ROLE_KEYS.viewer.minted.key;
  const given: Readonly<Record<string, string>> = { expert: 'talker', version, key };
  const filled = (text: string) =>
    text.replaceAll(/\{\{args\.(\w+)\}\}/g, (_, name: string) => given[name] ?? 'unknown');
  const { url, headers, jsonPath } = metric.provider.web;
  const response = await gateway.fetch(new URL(filled(url)).pathname, {
    key: null,
    headers: Object.fromEntries(headers.map(({ key, value }) => [key, filled(value)])),
  });
  if (!response.ok) return `error ${response.status}`;
  const field = /^\{\$\.(\w+)\}$/.exec(jsonPath)?.[1] ?? '';
  const result = ((await response.json()) as Record<string, unknown>)[field];
  expect(VERDICTS).toContain(result);
  const holds = (condition: string) => condition === `result == "${String(result)}"`;
  if (holds(metric.failureCondition)) return 'failed';
  return holds(metric.successCondition) ? 'successful' : 'inconclusive';
}

async function begin(toVersion: string): Promise<string> {
  const plan = { steps: [1], stepSeconds: 3_600, mirrorShare: 0, overrideReason: 'tested by hand' };
  const { release } = await updater.start({ expert: 'talker', toVersion, ...plan });
  await waitUntil(
    `the release of ${toVersion} is known`,
    async () => (await measure(toVersion)) !== 'error 404',
  );
  return release?.id ?? '';
}

describe('the AnalysisTemplate of the example', () => {
  it('waits while a release goes on, fails with one that is taken back, and passes with one that is promoted', async () => {
    expect(await measure('2')).toBe('error 404');
    const taken = await begin('2');
    expect(await measure('2')).toBe('inconclusive');
    await updater.rollBack({ releaseId: taken, reason: 'It is rude.' });
    expect(await measure('2')).toBe('failed');
    const promoted = await begin('3');
    expect(await measure('3')).toBe('inconclusive');
    await updater.promote({ releaseId: promoted, reason: 'Good.' });
    expect(await measure('3')).toBe('successful');
    expect(await measure('2')).toBe('failed');
  });
});
