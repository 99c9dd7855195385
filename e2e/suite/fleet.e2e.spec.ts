import { freePorts } from '@thalamus/testing';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { expectNothingLeft, launchMesh } from '../support/mesh.js';
import { ROOT, temporaryFolder } from '../support/paths.js';
import { thalamus } from '../support/run-command.js';

let dataFolder: string;
beforeEach(() => {
  dataFolder = temporaryFolder('fleet');
});
afterEach(() => {
  rmSync(dataFolder, { recursive: true, force: true });
});

interface Row {
  readonly name: string;
  readonly stable: string;
  readonly upstream?: { readonly baseUrl: string };
  readonly priceInputUsdPerMtok?: number;
}

/** A mesh on the one data folder, with its list of remote experts once it answers. */
async function withMesh(
  args: readonly string[],
  work: (rows: readonly Row[], mesh: Awaited<ReturnType<typeof launchMesh>>) => Promise<void> | void,
) {
  const mesh = await launchMesh({ dataFolder, arguments: ['--replay-pace', '0', ...args] });
  try {
    const rows = await mesh.json<Row[]>(['experts', 'list']);
    await work(
      rows.filter(({ upstream }) => upstream !== undefined),
      mesh,
    );
  } finally {
    await mesh.stop();
  }
}

describe('the fleet of a start', () => {
  it('follows the port of its upstream: a new address is a new version, an old one comes back as it was', async () => {
    const [first = 0, second = 0] = await freePorts(2);
    const versions: string[] = [];
    for (const port of [first, second, first])
      await withMesh(['--replay-port', String(port)], (rows) => {
        expect(rows.map(({ name }) => name).sort()).toEqual(['gpt-4-1106', 'mixtral-8x7b']);
        for (const row of rows) {
          expect(row.upstream?.baseUrl).toBe(`http://127.0.0.1:${port}/v1`);
          expect(row.priceInputUsdPerMtok).toBeGreaterThan(0);
        }
        versions.push([...new Set(rows.map(({ stable }) => stable))].join());
      });
    expect(versions).toEqual(['2', '3', '2']);
  });

  it('leaves alone an expert whose stable version somebody else made', async () => {
    const [port = 0] = await freePorts(1);
    const own = join(dataFolder, 'own');
    mkdirSync(own);
    const shipped = readFileSync(join(ROOT, 'zoo/fleet/mixtral-8x7b/expert.json'), 'utf8');
    writeFileSync(
      join(own, 'expert.json'),
      shipped
        .replace('"version": "1"', '"version": "7"')
        .replace(/http:[^"]+/, 'https://models.example.com/v1'),
    );
    await withMesh([], async (_rows, mesh) => {
      await mesh.json(['experts', 'add', own]);
      await mesh.json(['release', 'promote', 'mixtral-8x7b', '7', '--reason', 'ours']);
    });
    await withMesh(['--replay-port', String(port)], (rows) => {
      const at = (name: string) => rows.find((row) => row.name === name);
      expect(at('mixtral-8x7b')).toMatchObject({
        stable: '7',
        upstream: { baseUrl: 'https://models.example.com/v1' },
      });
      expect(at('gpt-4-1106')?.upstream?.baseUrl).toBe(`http://127.0.0.1:${port}/v1`);
    });
  });

  it('can be left out, and chat then says what there is', async () => {
    await withMesh(['--no-fleet'], async (rows, mesh) => {
      expect(rows).toEqual([]);
      expect(mesh.services).not.toContain('replay');
      const { exit, stderr } = await mesh.run(['chat', 'hello']);
      expect(exit).toBe(1);
      expect(stderr).toContain('text-generation');
      expect((await mesh.run(['chat', '--samples'])).stderr).toContain('--no-fleet');
    });
  });

  it('does not start on a port that is taken', async () => {
    const [port = 0] = await freePorts(1);
    await withMesh(['--replay-port', String(port)], async () => {
      const other = temporaryFolder('fleet-other');
      const args = ['up', '--data', other, '--port', '0', '--grpc-port', '0', '--replay-port', String(port)];
      const { exit, stderr } = await thalamus(args);
      expect(stderr).toContain(`Port ${port} on 127.0.0.1 is taken`);
      expect(stderr).toContain('--replay-port');
      expect(exit).toBe(1);
      await expectNothingLeft(other);
      rmSync(other, { recursive: true });
    });
  });
});
