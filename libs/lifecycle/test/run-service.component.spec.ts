import { artifactV1, health } from '@thalamus/contracts';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { killAll, spawnService, type SpawnedService } from './support/spawn-service.js';

/** A process takes a second to start on an idle machine, and many on a busy one. */
const LONG = { timeout: 60_000 };

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  killAll();
});

interface Ready extends SpawnedService {
  readonly ops: string;
  readonly health: RpcClient<typeof health.Health>;
  readonly artifacts: RpcClient<typeof artifactV1.ArtifactService>;
}

async function ready(settings: Record<string, string> = {}): Promise<Ready> {
  const service = spawnService({ THALAMUS_GRPC_PORT: '0', THALAMUS_OPS_PORT: '0', ...settings });
  const { port } = await service.message('grpc');
  const { opsPort } = await service.message('ready');
  const artifacts = createClient(artifactV1.ArtifactService, {
    address: `127.0.0.1:${port}`,
    defaultDeadlineMs: 30_000,
  });
  const healthClient = createClient(health.Health, {
    address: `127.0.0.1:${port}`,
    defaultDeadlineMs: 30_000,
  });
  cleanups.push(() => {
    artifacts.close();
    healthClient.close();
  });
  return { ...service, ops: `http://127.0.0.1:${opsPort}`, artifacts, health: healthClient };
}

/** A unary call and a stream that both wait for the parent's word. */
async function inFlight(service: Ready) {
  const unary = service.artifacts.stat({});
  unary.catch(() => undefined);
  const seen: bigint[] = [];
  const began = Promise.withResolvers<undefined>();
  const stream = (async () => {
    for await (const { totalBytes } of service.artifacts.get({})) {
      seen.push(totalBytes);
      began.resolve(undefined);
    }
  })();
  stream.catch(() => undefined);
  await began.promise;
  await service.message('unary began');
  return { unary, stream, seen };
}

async function takenPort(): Promise<number> {
  const other: Server = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => other.close());
  return (other.address() as AddressInfo).port;
}

describe('a running service', LONG, () => {
  it('answers probes and metrics on its ops port', async () => {
    const service = await ready();
    expect((await fetch(`${service.ops}/healthz`)).status).toBe(200);
    expect((await fetch(`${service.ops}/readyz`)).status).toBe(200);
    const metrics = await (await fetch(`${service.ops}/metrics`)).text();
    expect(metrics).toMatch(/^process_memory_usage_bytes \d{6,}/m);
    expect((await fetch(`${service.ops}/nothing`)).status).toBe(404);
    expect((await fetch(`${service.ops}/metrics`, { method: 'POST' })).status).toBe(405);
  });
});

describe('the end of a service', LONG, () => {
  it('withdraws readiness first, lets calls and streams in flight finish, then exits with 0', async () => {
    const service = await ready();
    const { unary, stream, seen } = await inFlight(service);
    service.child.kill('SIGTERM');
    await expect.poll(async () => (await fetch(`${service.ops}/readyz`)).status).toBe(503);
    expect(await (await fetch(`${service.ops}/readyz`)).text()).toContain('draining');
    expect(seen).toEqual([1n]);
    service.child.send('release');
    expect((await unary).artifacts[0]?.digest).toBe('whole');
    await stream;
    expect(seen).toHaveLength(20);
    expect(await service.exited).toBe(0);
    expect(service.output.stdout).toContain('"message":"stopped"');
    expect(service.output.stderr).toBe('');
  });

  it('tells balancers over gRPC too to go elsewhere, while calls are still taken', async () => {
    const { SERVING, NOT_SERVING } = health.HealthCheckResponse_ServingStatus;
    const service = await ready({ THALAMUS_READINESS_GRACE_MS: '60000' });
    expect((await service.health.check({})).status).toBe(SERVING);
    service.child.kill('SIGTERM');
    await expect.poll(async () => (await service.health.check({})).status).toBe(NOT_SERVING);
    service.child.send('release');
    expect((await service.artifacts.stat({})).artifacts[0]?.digest).toBe('whole');
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(130);
  });

  it('is at once, with 130, at a second signal', async () => {
    const service = await ready();
    const { unary } = await inFlight(service);
    service.child.kill('SIGINT');
    await expect.poll(async () => (await fetch(`${service.ops}/readyz`)).status).toBe(503);
    service.child.kill('SIGINT');
    expect(await service.exited).toBe(130);
    await expect(unary).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  });

  it('comes at the drain limit though a call never ends', async () => {
    const service = await ready({ THALAMUS_DRAIN_MS: '100' });
    const { unary } = await inFlight(service);
    service.child.kill('SIGTERM');
    expect(await service.exited).toBe(0);
    await expect(unary).rejects.toBeDefined();
  });

  it('comes when the launcher goes away', async () => {
    const service = await ready();
    service.child.disconnect();
    expect(await service.exited).toBe(0);
    expect(service.output.stdout).toContain('launcher went away');
  });

  it('after a fault that nobody caught has exit code 1 and a log line without the text of the fault', async () => {
    const service = spawnService({ THALAMUS_MODE: 'crash' });
    expect(await service.exited).toBe(1);
    expect(service.output.stdout).toContain('a fault that nobody caught');
    expect(service.output.stdout + service.output.stderr).not.toContain('quoting a prompt');
  });
});

describe('a start that fails', LONG, () => {
  it('says why in one message and exits with 1', async () => {
    const service = spawnService({ THALAMUS_MODE: 'fail' });
    expect(await service.exited).toBe(1);
    expect(service.output.stderr).toBe('test-service: the model file m.onnx is missing; run "npm ci"\n');
    expect(await service.message('failed').catch(() => undefined)).toMatchObject({ code: 'INTERNAL' });
  });

  it.each(['THALAMUS_GRPC_PORT', 'THALAMUS_OPS_PORT'])(
    'names the address and the setting when %s is taken',
    async (variable) => {
      const port = await takenPort();
      const service = spawnService({ [variable]: String(port) });
      expect(await service.exited).toBe(1);
      expect(service.output.stderr).toContain(`127.0.0.1:${port}`);
      expect(service.output.stderr).toContain(variable);
      expect(service.output.stderr.trim().split('\n')).toHaveLength(1);
    },
  );

  it('names every bad and unknown setting at once', async () => {
    const service = spawnService({
      THALAMUS_GRPC_PORT: 'many',
      THALAMUS_MODE: 'sleep',
      THALAMUS_MODDE: 'work',
    });
    expect(await service.exited).toBe(1);
    for (const name of ['THALAMUS_GRPC_PORT', 'THALAMUS_MODE', 'THALAMUS_MODDE'])
      expect(service.output.stderr).toContain(`${name}:`);
  });

  it('refuses arguments', async () => {
    const service = spawnService({}, ['--port', '8080']);
    expect(await service.exited).toBe(1);
    expect(service.output.stderr).toContain('Unknown argument --port 8080');
  });
});

describe('--help', LONG, () => {
  it('lists every setting with its default and starts nothing', async () => {
    const service = spawnService({}, ['--help']);
    expect(await service.exited).toBe(0);
    const settings = [
      'THALAMUS_HOST',
      'THALAMUS_GRPC_PORT',
      'THALAMUS_OPS_PORT',
      'THALAMUS_DRAIN_MS',
      'THALAMUS_READINESS_GRACE_MS',
      'THALAMUS_LOG_LEVEL',
      'THALAMUS_OTLP_ENDPOINT',
      'THALAMUS_TRACE_RATIO',
      'THALAMUS_MODE',
    ];
    for (const name of settings)
      expect(service.output.stdout).toMatch(new RegExp(`^  ${name} .*\\[.*\\]$`, 'm'));
    expect(service.output.stdout).toContain('default: 10000');
  });
});
