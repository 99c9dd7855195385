import { CALIBRATION_FILE, JsonCalibrationFile, machineName } from '@thalamus/inference';
import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { zooFolder } from '../mesh/zoo-index.js';
import {
  checkBrokers,
  checkDataFolder,
  checkDisk,
  checkEventLog,
  checkNode,
  checkPorts,
  checkZoo,
} from './machine-checks.js';
import { checkSessions } from './check-sessions.js';
import { checkMemory, MEMORY_BUDGET_BYTES } from './memory.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'thalamus-doctor-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function listening<T>(work: (port: number) => Promise<T>): Promise<T> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await work((server.address() as AddressInfo).port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('the checks of doctor', () => {
  it('Node: another major version comes with the cure', () => {
    expect(checkNode('v24.9.0').ok).toBe(true);
    expect(checkNode('v20.20.2')).toMatchObject({
      ok: false,
      cure: expect.stringContaining('npm ci') as string,
    });
  });

  it('zoo: a model file that is gone is named', async () => {
    const copy = join(folder, 'zoo');
    mkdirSync(copy);
    cpSync(join(zooFolder(), 'zoo.json'), join(copy, 'zoo.json'));
    const check = await checkZoo(copy);
    expect(check.ok).toBe(false);
    expect(check.detail).toContain('minilm-l6');
    expect(check.cure).toContain('git checkout');
    expect(await checkZoo(join(folder, 'nowhere'))).toMatchObject({ ok: false });
  });

  it('data folder: the file of a launcher that was killed is found', () => {
    expect(checkDataFolder(folder).ok).toBe(true);
    expect(checkDataFolder(join(folder, 'a/b')).detail).toContain('first start');
    writeFileSync(join(folder, 'mesh.json'), JSON.stringify({ pid: 2 ** 22 + 1, pidStartedAt: '' }));
    expect(checkDataFolder(folder)).toMatchObject({
      ok: false,
      detail: expect.stringContaining('killed') as string,
    });
    writeFileSync(join(folder, 'mesh.json'), '{');
    expect(checkDataFolder(folder)).toMatchObject({
      ok: false,
      cure: expect.stringContaining('Delete') as string,
    });
  });

  it('disk: a folder that does not exist yet is judged by the one above', () => {
    expect(checkDisk(join(folder, 'a/b')).detail).toContain('free');
  });

  it('ports: a taken one is named with its option', async () => {
    await listening(async (port) => {
      const check = await checkPorts([['--port', port]]);
      expect(check).toMatchObject({ ok: false, detail: `taken: ${port} (--port)` });
    });
  });

  it('event log: whole, torn, or none yet', () => {
    const file = join(folder, 'events.sqlite');
    expect(checkEventLog(file).ok).toBe(true);
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE t (x TEXT)');
    const insert = database.prepare('INSERT INTO t VALUES (?)');
    database.exec('BEGIN');
    for (let row = 0; row < 2000; row += 1) insert.run('x'.repeat(100));
    database.exec('COMMIT');
    database.close();
    expect(checkEventLog(file).ok).toBe(true);
    truncateSync(file, 8_192);
    expect(checkEventLog(file)).toMatchObject({ ok: false, cure: expect.stringContaining('copy') as string });
  });

  it('kafka: a broker that does not answer is named', async () => {
    await listening(async (port) => {
      expect((await checkBrokers([`127.0.0.1:${port}`])).ok).toBe(true);
      expect(await checkBrokers([`127.0.0.1:${port}`, '127.0.0.1:1'])).toMatchObject({
        ok: false,
        detail: 'no connection to 127.0.0.1:1',
      });
      expect((await checkBrokers(['nonsense'])).ok).toBe(false);
    });
  });

  it('inference: what was chosen and why, or that nothing is known yet', async () => {
    expect((await checkSessions(folder)).detail).toContain('not calibrated yet');
    const plain = { threads: 1, weights: 'stored', arena: true } as const;
    const choice = { threads: 2, weights: 'expanded', arena: true } as const;
    const trials = [
      { choice: plain, aloneMs: 10, batchMs: 40 },
      { choice, aloneMs: 5, batchMs: 16 },
    ];
    const kept = {
      machine: machineName(),
      measuredAt: '2026-11-29T06:00:00.000Z',
      choice,
      trials,
      children: 2,
      gain: 1.4,
    };
    const file = new JsonCalibrationFile(join(folder, 'expert-host', CALIBRATION_FILE));
    await file.write(kept);
    const { ok, detail } = await checkSessions(folder);
    expect(ok).toBe(true);
    expect(detail).toContain('2 threads, weights unpacked to float32');
    expect(detail).toContain('2.24 times as fast as 1 thread, weights as stored');
    expect(detail).toContain('second process (two get 1.40 times as much done)');
    await file.write({ ...kept, choice: plain });
    expect((await checkSessions(folder)).detail).toContain('nothing was faster');
    await file.write({ ...kept, machine: '64 x another' });
    expect(await checkSessions(folder)).toMatchObject({
      ok: false,
      cure: expect.stringContaining('Start the mesh again') as string,
    });
    writeFileSync(join(folder, 'expert-host', CALIBRATION_FILE), '{"choice":');
    expect((await checkSessions(folder)).ok).toBe(true);
  });

  it('memory: the budget is the line', () => {
    expect(checkMemory({ rssBytes: MEMORY_BUDGET_BYTES, pssBytes: 0 }).ok).toBe(true);
    expect(checkMemory({ rssBytes: MEMORY_BUDGET_BYTES + 1, pssBytes: 0 })).toMatchObject({
      ok: false,
      detail: expect.stringContaining('over') as string,
    });
  });
});
