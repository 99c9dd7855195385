import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { registryV1 } from '@thalamus/contracts';
import { createClient } from '@thalamus/grpc';
import { waitUntil } from '@thalamus/testing';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GatewayUnderTest } from './support/gateway-under-test.js';

const LIVE_MS = 3_000;
/** Longer than the time to live and one look of the expiry, which comes every five seconds. */
const IN_USE_MS = 9_000;

describe('an expert that ends unless it is used', () => {
  let gateway: GatewayUnderTest;
  beforeAll(async () => {
    gateway = await GatewayUnderTest.start({}, { updater: true });
  });
  afterAll(() => gateway.stop());

  const register = async (name: string) => {
    const task = 'text-classification';
    // Without one, all versions of these tests would stand on it.
    const manifestDigest = `sha256:${createHash('sha256').update(name).digest('hex')}`;
    const version = {
      expert: name,
      version: '1',
      task,
      manifestDigest,
      licence: 'Apache-2.0',
      labelCount: 2,
    };
    const end = {
      expiresAt: timestampFromMs(Date.now() + LIVE_MS),
      timeToLiveS: BigInt(LIVE_MS / 1000),
    };
    await gateway.register(`version/${name}@1`, { case: 'version', value: version });
    await gateway.register(`expert/${name}`, { case: 'expert', value: { name, task, stable: '1', ...end } });
    await gateway.reside(name, '1');
  };

  it('stays while it answers, and ends when it does not', async () => {
    const registry = createClient(registryV1.RegistryService, {
      address: gateway.updaterAddress,
      defaultDeadlineMs: 5_000,
    });
    const names = async () => {
      const { resources } = await registry.listResources({ kind: 'expert', namePrefix: 'twin-' });
      return resources.map(({ key }) => key);
    };
    await register('twin-unused');
    await register('twin-used');
    const startedAt = Date.now();
    let answered = 0;
    while (Date.now() - startedAt < IN_USE_MS) {
      const response = await gateway.post('/v1/classifications', { input: 'x', model: 'twin-used' });
      if (response.ok) answered += 1;
      // The gateway hears of it a moment after it is registered.
      else expect(answered).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(answered).toBeGreaterThan(10);
    expect(await names()).toEqual(['expert/twin-used']);
    const { resource } = await registry.getResource({ key: 'expert/twin-used' });
    expect(resource).toMatchObject({ updatedBy: 'gateway' });
    const end = resource?.value.case === 'expert' ? resource.value.value.expiresAt : undefined;
    expect(end && timestampMs(end)).toBeGreaterThan(Date.now());
    await waitUntil('it ends', async () => (await names()).length === 0, { timeoutMs: 15_000 });
    registry.close();
  }, 60_000);
});
