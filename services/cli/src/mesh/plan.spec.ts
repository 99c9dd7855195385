import { describe, expect, it } from 'vitest';
import { assignPorts, portsNeeded, settingsOf, type UpOptions } from './plan.js';
import { SERVICES } from './service-process.js';

const options: UpOptions = {
  host: '0.0.0.0',
  httpPort: 8080,
  grpcPort: 8081,
  dataFolder: '/data',
  kafkaBrokers: undefined,
  otlpEndpoint: undefined,
  logLevel: 'info',
  allowedUpstreams: [],
  replay: undefined,
};
const services = SERVICES.filter((service) => service !== 'replay');
const addresses = assignPorts(
  services,
  Array.from({ length: 20 }, (_unused, index) => 20_000 + index),
  options,
);

describe('the settings of a mesh that listens on every address', () => {
  it('open the gateway alone: behind it nobody is asked for a key', () => {
    const hosts = services.map((service) => [
      service,
      settingsOf(service, options, addresses)['THALAMUS_HOST'],
    ]);
    expect(Object.fromEntries(hosts)).toEqual({
      updater: '127.0.0.1',
      'expert-host': '127.0.0.1',
      router: '127.0.0.1',
      composer: '127.0.0.1',
      worker: '127.0.0.1',
      gateway: '0.0.0.0',
    });
    expect(settingsOf('gateway', options, addresses)).toMatchObject({
      THALAMUS_ANONYMOUS: 'off',
      THALAMUS_ROUTER_ADDRESS: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      THALAMUS_COMPOSER_ADDRESS: `127.0.0.1:${addresses.get('composer')?.grpcPort ?? 0}`,
    });
  });

  it('give each server a port of its own, the HTTP server of the host among them', () => {
    const ports = services.flatMap((service) => {
      const { grpcPort, httpPort, opsPort } = addresses.get(service) ?? { opsPort: 0 };
      return [grpcPort, httpPort, opsPort].filter((port) => port !== undefined);
    });
    expect(new Set(ports).size).toBe(ports.length);
    expect(ports.length).toBe(portsNeeded(services) + 1);
    expect(settingsOf('expert-host', options, addresses)['THALAMUS_HTTP_PORT']).toBe(
      String(addresses.get('expert-host')?.httpPort),
    );
  });

  it('let callers without a key read on the loopback only', () => {
    for (const host of ['127.0.0.1', 'localhost'])
      expect(settingsOf('gateway', { ...options, host }, addresses)['THALAMUS_ANONYMOUS']).toBe('viewer');
    expect(settingsOf('gateway', { ...options, host: '10.0.0.1' }, addresses)['THALAMUS_ANONYMOUS']).toBe(
      'off',
    );
  });
});
