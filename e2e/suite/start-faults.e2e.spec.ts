import { freePorts } from '@thalamus/testing';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectNothingLeft, launchMesh } from '../support/mesh.js';
import { NODE, ROOT, temporaryFolder } from '../support/paths.js';
import { startCommand, thalamus, type CommandResult } from '../support/run-command.js';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder('faults');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const up = (...args: string[]) =>
  thalamus(['up', '--data', join(folder, 'data'), '--port', '0', '--grpc-port', '0', ...args], {
    timeoutMs: 90_000,
  });

/** One message of one line, no stack, nothing on standard output, and the exit code. */
function expectOneMessage(
  { exit, stdout, stderr }: CommandResult,
  parts: readonly string[],
  code: number,
): void {
  for (const part of parts) expect(stderr).toContain(part);
  expect(stderr.trim().split('\n'), stderr).toHaveLength(1);
  expect(stderr).not.toMatch(/ at .*:\d+:\d+/);
  expect(stdout).toBe('');
  expect(exit).toBe(code);
}

describe('a start that cannot succeed says why in one message', () => {
  it.each(['--port', '--grpc-port'])('a taken %s', async (option) => {
    const server = createServer();
    const [port = 0] = await freePorts(1);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const result = await up(option, String(port));
    await new Promise((resolve) => server.close(resolve));
    expectOneMessage(result, [`Port ${port}`, option], 1);
  });

  it('a Kafka that nobody can reach', async () => {
    const [port = 0] = await freePorts(1);
    const result = await up('--kafka', `127.0.0.1:${port}`);
    expectOneMessage(result, ['Kafka', `127.0.0.1:${port}`], 3);
    await expectNothingLeft(folder);
  });

  it('brokers that are no addresses', async () => {
    const result = await up('--kafka', 'somewhere');
    expect(result.stderr).toContain('host:port');
    expect(result.exit).toBe(2);
    await expectNothingLeft(folder);
  });

  it('a data folder that is a file', async () => {
    writeFileSync(join(folder, 'data'), '');
    expectOneMessage(await up(), [join(folder, 'data'), '--data'], 2);
  });

  it('a data folder that cannot be written', async () => {
    // Nobody may write below /proc, not even root, whom permissions of a folder do not stop.
    const result = await thalamus(['up', '--data', '/proc/thalamus', '--port', '0', '--grpc-port', '0']);
    expectOneMessage(result, ['/proc/thalamus', '--data'], 2);
  });

  it.each([
    ['--port', 'eighty'],
    ['--grpc-port', '70000'],
    ['--log-level', 'loud'],
  ])('a bad value for %s', async (option, value) => {
    const { exit, stderr } = await up(option, value);
    expect(stderr).toContain(option);
    expect(stderr).toContain(value);
    expect(exit).toBe(2);
  });
});

describe('a data folder that was damaged', () => {
  it('names the file and what to do, and never starts on half of it', async () => {
    const data = join(folder, 'data');
    const mesh = await launchMesh({ dataFolder: data });
    await mesh.stop();

    const log = join(data, 'events.sqlite');
    const whole = readFileSync(log);
    truncateSync(log, Math.floor(statSync(log).size / 2));
    expectOneMessage(await up(), [log], 1);
    await expectNothingLeft(folder);

    writeFileSync(log, 'this was never a database, and it is longer than a header'.repeat(100));
    for (const suffix of ['-wal', '-shm']) rmSync(`${log}${suffix}`, { force: true });
    expectOneMessage(await up(), [log], 1);
    await expectNothingLeft(folder);
    writeFileSync(log, whole);

    // A start mends what the repository still holds: the flipped byte is found, and the bundle put in again.
    const flipped = largestFile(join(data, 'artifacts', 'sha256'));
    const bytes = readFileSync(flipped);
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    chmodSync(flipped, 0o644);
    writeFileSync(flipped, bytes);
    const result = await up('--once');
    expect(result.exit).toBe(0);
    expect(readFileSync(flipped).equals(bytes)).toBe(false);
    await expectNothingLeft(folder);
  });
});

describe('a model file that is missing', () => {
  it('is named before anything is started', async () => {
    // A repository of links, but for the zoo: the launcher finds its zoo beside its own code.
    const copy = join(folder, 'repository');
    mkdirSync(join(copy, 'services/cli'), { recursive: true });
    cpSync(join(ROOT, 'zoo'), join(copy, 'zoo'), { recursive: true });
    cpSync(join(ROOT, 'services/cli/dist'), join(copy, 'services/cli/dist'), { recursive: true });
    cpSync(join(ROOT, 'services/cli/bin'), join(copy, 'services/cli/bin'), { recursive: true });
    cpSync(join(ROOT, 'services/cli/package.json'), join(copy, 'services/cli/package.json'));
    for (const service of readdirSync(join(ROOT, 'services')).filter((name) => name !== 'cli'))
      symlinkSync(join(ROOT, 'services', service), join(copy, 'services', service));
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const missing = largestFile(join(copy, 'zoo/base'));
    rmSync(missing);
    const args = ['up', '--data', join(folder, 'data'), '--port', '0', '--grpc-port', '0'];
    const main = join(copy, 'services/cli/bin/thalamus.mjs');
    const result = await startCommand(NODE, [main, ...args], { timeoutMs: 90_000 }).ended;
    expectOneMessage(result, [missing.slice(missing.lastIndexOf('/') + 1)], 1);
    await expectNothingLeft(folder);
  });
});

function largestFile(root: string): string {
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return files.reduce((largest, file) => (statSync(file).size > statSync(largest).size ? file : largest));
}
