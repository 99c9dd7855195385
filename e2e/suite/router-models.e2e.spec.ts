import { writePicoBase } from '@thalamus/testing';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeRouterModel } from '../router/router-model.js';
import { startJobMesh, type JobMesh } from '../support/job-mesh.js';
import { temporaryFolder } from '../support/paths.js';
import { thalamus } from '../support/run-command.js';

// Each command is a process, which takes seconds where the machine is busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 480_000, hookTimeout: 480_000 });
const LOSSES = {
  adder: { adder: 0.4, atlas: 0.5 },
  atlas: { adder: 0.5, atlas: 0.4 },
};
let mesh: JobMesh;
let folder: string;
const at = (name: string) => join(folder, name);

interface ShownRouter {
  readonly name: string;
  readonly active: boolean;
  readonly previous: string | null;
  readonly rolledBack: string | null;
  readonly comparison: string | null;
  readonly reason: string | null;
}

beforeAll(async () => {
  folder = temporaryFolder('router-models');
  const { digest: encoder } = await writePicoBase(at('base'), { name: 'pico' });
  for (const [name, losses] of Object.entries(LOSSES))
    await writeRouterModel(folder, name, { losses, encoder });
  const meta = { set: 'made', licence: 'CC0-1.0', origin: 'this test', models: ['adder', 'atlas'] };
  const rows = Array.from({ length: 400 }, (_, row) =>
    JSON.stringify({ id: `p${row}`, prompt: `the card ${row}`, scores: [row % 10 === 0 ? 1 : 0, 1] }),
  );
  writeFileSync(at('table.jsonl'), [JSON.stringify({ meta }), ...rows].join('\n'));
  mesh = await startJobMesh(0);
  const { exit, stderr } = await mesh.run(['experts', 'add', at('base')], { timeoutMs: 240_000 });
  expect(exit, stderr).toBe(0);
});
afterAll(async () => {
  await mesh.stop();
  rmSync(folder, { recursive: true, force: true });
});

const compare = async (before: string, after: string) => {
  const args = [
    'router',
    'compare',
    '--before',
    at(before),
    '--after',
    at(after),
    '--split',
    'all',
    '--json',
  ];
  const { exit, stdout } = await thalamus([...args, '--table', at('table.jsonl'), '--base', at('base')], {
    timeoutMs: 240_000,
  });
  writeFileSync(at(`${before}-${after}.json`), stdout);
  return exit;
};
const deciding = async () =>
  (await mesh.json<ShownRouter[]>(['router', 'list'])).filter(({ active }) => active).map(({ name }) => name);

describe('router models of a mesh', () => {
  it('take the place of another by a comparison or for a reason, and are taken back', async () => {
    await mesh.json(['router', 'promote', at('adder')]);
    const refused = await mesh.run(['router', 'promote', at('atlas')]);
    expect(refused.exit).not.toBe(0);
    expect(refused.stderr).toContain('adder@1 decides for text-generation');
    expect(await deciding()).toEqual(['adder']);

    // All goes to another expert, which the default gate does not let pass.
    expect(await compare('adder', 'atlas')).toBe(1);
    const shown = ['--comparison', at('adder-atlas.json')];
    expect((await mesh.run(['router', 'promote', at('atlas'), ...shown])).stderr).toContain(
      'The gate default-router says "failed"',
    );
    const why = ['--reason', 'the atlas is never worse'];
    expect(await mesh.json<ShownRouter>(['router', 'promote', at('atlas'), ...shown, ...why])).toMatchObject({
      ...{ name: 'atlas', active: true, previous: 'adder@1', reason: 'the atlas is never worse' },
      comparison: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string,
    });
    expect(await deciding()).toEqual(['atlas']);

    const back = ['router', 'rollback', 'atlas@1', '--reason', 'callers complain'];
    expect(await mesh.json<ShownRouter>(back)).toMatchObject({ name: 'adder', rolledBack: 'atlas@1' });
    expect((await mesh.run(back)).stderr).toContain('adder@1 does');
    expect(await deciding()).toEqual(['adder']);
  });

  it('pass by the gate of their own', async () => {
    writeFileSync(
      at('gate.yaml'),
      '{ version: 1, name: loss-alone, rules: [{ name: loss, measure: regret, data: router, threshold: 0 }] }',
    );
    const args = ['router', 'compare', '--before', at('adder'), '--after', at('atlas'), '--split', 'all'];
    const { exit, stdout } = await thalamus(
      [...args, '--table', at('table.jsonl'), '--base', at('base'), '--gate', at('gate.yaml'), '--json'],
      { timeoutMs: 240_000 },
    );
    expect(exit).toBe(0);
    writeFileSync(at('passed.json'), stdout);
    const promoted = await mesh.json<ShownRouter>([
      ...['router', 'promote', 'atlas@1', '--comparison', at('passed.json')],
    ]);
    expect(promoted).toMatchObject({ name: 'atlas', previous: 'adder@1', reason: null });
    expect(await deciding()).toEqual(['atlas']);
  });
});
