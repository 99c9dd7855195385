import { freePorts, waitUntil } from '@thalamus/testing';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectNothingLeft, type LaunchedMesh } from '../support/mesh.js';
import { ROOT, temporaryFolder } from '../support/paths.js';
import { isRunning, processesOf, processTable } from '../support/processes.js';
import { startCommand, startThalamus, thalamus } from '../support/run-command.js';
import { launchAgain, launchFresh } from '../support/start-mesh.js';

const dataFolder = temporaryFolder('restart');
let mesh: LaunchedMesh;
let key: string;
beforeAll(async () => {
  mesh = await launchFresh({ dataFolder });
  key = (await mesh.json<{ key: string }>(['keys', 'create', '--tenant', 'keeper'])).key;
  await mesh.json(['experts', 'add', join(ROOT, 'zoo/experts/snips7')]);
});
afterAll(async () => {
  await mesh.stop();
  rmSync(dataFolder, { recursive: true, force: true });
});

/** Everything that must outlive a restart. */
async function expectStateIntact(): Promise<void> {
  const experts = await mesh.json<{ name: string; stable: string }[]>(['experts', 'list']);
  expect(experts.map(({ name }) => name)).toEqual(expect.arrayContaining([...mesh.experts]));
  const keys = await mesh.json<{ tenant: string; revoked: boolean }[]>(['keys', 'list']);
  expect(keys.filter(({ tenant }) => tenant === 'keeper')).toEqual([
    expect.objectContaining({ revoked: false }),
  ]);
  await expect.poll(() => classify(), { timeout: 30_000 }).toBe('BookRestaurant');
}

/** The answer to a prompt over HTTP with the key that was made at the first start, or what was said instead. */
async function classify(): Promise<string> {
  const response = await fetch(`${mesh.http}/v1/classifications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ input: 'Book a table for two', model: 'snips7' }),
  }).catch((fault: unknown) => String(fault));
  if (typeof response === 'string') return response;
  const answer = (await response.json()) as { data?: { label: string }[]; error?: { code: string } };
  return answer.data?.[0]?.label ?? answer.error?.code ?? '';
}

describe('a launcher', () => {
  it.each(['updater', 'expert-host', 'router', 'gateway'])(
    'starts %s again when it is killed',
    async (service) => {
      const before = mesh.pidOf(service);
      process.kill(before, 'SIGKILL');
      await waitUntil(
        `${service} is back`,
        () => mesh.launcher.said.stderr.includes(`The service ${service} is back`),
        {
          timeoutMs: 60_000,
        },
      );
      expect(mesh.pidOf(service)).not.toBe(before);
      expect(isRunning(before)).toBe(false);
      await expectStateIntact();
    },
  );

  it('lets no second one into its data folder', async () => {
    // On its own ports too: that they are taken says less than who has them.
    const [port = '', grpcPort = ''] = [mesh.http, mesh.grpc].map((address) => address.split(':').at(-1));
    const { exit, stderr, stdout } = await thalamus([
      ...['up', '--data', dataFolder, '--port', port, '--grpc-port', grpcPort],
    ]);
    expect(stderr).toContain(`A mesh runs already on ${dataFolder} (process `);
    expect(stderr).toContain(mesh.http);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(stdout).toBe('');
    expect(exit).toBe(1);
    expect(await classify()).toBe('BookRestaurant');
  });

  it('leaves no process and no file behind at Ctrl-C, and finds all state at the next start', async () => {
    const { exit, stderr } = await mesh.interrupt();
    expect(exit).toBe(0);
    expect(stderr).toContain('Stopping the mesh');
    await expectNothingLeft(dataFolder, 5_000);
    expect(existsSync(join(dataFolder, 'mesh.json'))).toBe(false);
    mesh = await launchAgain(dataFolder);
    await expectStateIntact();
  });

  it('leaves no orphan when it is killed, and the next start needs no help', async () => {
    expect(processesOf(dataFolder).length).toBeGreaterThan(4);
    await mesh.interrupt('SIGKILL');
    await expectNothingLeft(dataFolder, 20_000);
    const asked = await thalamus(['ask', 'hello', '--data', dataFolder]);
    expect(asked.stderr).toContain('No mesh runs on the data folder');
    expect(asked.exit).toBe(3);
    mesh = await launchAgain(dataFolder);
    await expectStateIntact();
  });

  it('ends a start that is under way at Ctrl-C', async () => {
    const folder = temporaryFolder('interrupted');
    const launcher = startThalamus(['up', '--data', folder, '--port', '0', '--grpc-port', '0']);
    await waitUntil('services are starting', () => processesOf(folder).length > 2);
    launcher.child.kill('SIGINT');
    expect((await launcher.ended).exit).toBe(130);
    await expectNothingLeft(folder, 5_000);
    rmSync(folder, { recursive: true, force: true });
  });

  it('takes one Ctrl-C in a terminal as one, whoever passes it on: npm, the starter on another Node, the shell', async () => {
    const folder = temporaryFolder('npm-start');
    const [http = 0, grpc = 0] = await freePorts(2);
    const given = ['--data', folder, '--port', String(http), '--grpc-port', String(grpc)];
    const npm = startCommand('npm', ['start', '--', ...given], { workingFolder: ROOT, timeoutMs: 120_000 });
    await waitUntil('the ready line', () => npm.said.stdout.includes('Thalamus is ready'), {
      timeoutMs: 90_000,
    });
    expect(npm.said.stdout).toContain(`http://127.0.0.1:${http}`);
    expect(npm.said.stdout).toContain('npx thalamus ask');
    // A terminal sends the signal to every process in the foreground.
    const foreground = processTable().filter(({ group }) => group === npm.pid);
    expect(foreground.length).toBeGreaterThan(1);
    process.kill(-npm.pid, 'SIGINT');
    await npm.ended;
    await expectNothingLeft(folder, 15_000);
    expect(existsSync(join(folder, 'mesh.json'))).toBe(false);
    rmSync(folder, { recursive: true, force: true });
  });
});
