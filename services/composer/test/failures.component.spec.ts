import { importBundle, materialiseBundle, openBundle, parseDigest } from '@thalamus/bundle';
import type { composerV1 } from '@thalamus/contracts';
import { toThalamusError, type ThalamusError } from '@thalamus/errors';
import { waitUntil } from '@thalamus/testing';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ComposerMesh, texts } from './composer-mesh.js';

// Processes and ONNX Runtime on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const COURT = {
  name: 'court',
  labels: ['appeal', 'other'],
  seed: 12,
  texts: texts(['law', 'court', 'the', 'hello', 'world'], 120),
};
const DESK = {
  name: 'desk',
  labels: ['block', 'other'],
  seed: 11,
  texts: texts(['card', 'lost', 'money', 'block', 'my'], 120),
};
const mesh = new ComposerMesh();
type Client = ComposerMesh['composer'];

const recipe = (name: string, parents: readonly string[] = ['court', 'desk']) => ({
  name,
  document: JSON.stringify({
    merge_method: 'twin',
    base_model: 'pico',
    models: parents.map((model) => ({ model })),
    parameters: { rank: 2 },
  }),
});

type OnStage = (stage: string) => unknown;
async function compose(
  what: ReturnType<typeof recipe>,
  { client = mesh.composer, onStage }: { client?: Client; onStage?: OnStage } = {},
) {
  const stages = new Set<string>();
  let made: composerV1.Composition | undefined;
  for await (const { event } of client.compose({ recipe: what }, { deadlineMs: 100_000 })) {
    if (event.case === 'composition') made = event.value;
    if (event.case !== 'progress' || stages.has(event.value.stage)) continue;
    stages.add(event.value.stage);
    await onStage?.(event.value.stage);
  }
  return { made: made!, stages: [...stages] };
}

async function fault(work: Promise<unknown>): Promise<ThalamusError> {
  return work.then(() => {
    throw new Error('nothing was refused');
  }, toThalamusError);
}

/** Nothing of a name is registered, and nothing is left in the folder that compositions are made in. */
async function expectNothing(name: string): Promise<void> {
  await waitUntil(
    'the work folder is empty',
    () => !existsSync(mesh.workFolder) || readdirSync(mesh.workFolder).length === 0,
  );
  for (const key of [`expert/${name}`, `version/${name}@1`])
    expect((await fault(mesh.registry.getResource({ key }))).code).toBe('RESOURCE_NOT_FOUND');
}

/** Ids of the processes that a process made and that compose. */
const makersOf = (parent: number): number[] =>
  readdirSync('/proc')
    .filter((id) => /^\d+$/.test(id))
    .filter((id) => {
      try {
        const [, , ppid] = readFileSync(`/proc/${id}/stat`, 'utf8')
          .replace(/^.*\) /, '_ ')
          .split(' ');
        return Number(ppid) === parent && readFileSync(`/proc/${id}/cmdline`, 'utf8').includes('making-main');
      } catch {
        return false;
      }
    })
    .map(Number);

beforeAll(async () => {
  await mesh.start();
  await mesh.addBase('pico', 1);
  await mesh.addTrained(COURT, 2);
  await mesh.addTrained(DESK, 2);
});
afterAll(() => mesh.stop());

describe('a composition that is cut off', () => {
  it('by the death of the process that makes it is told, leaves nothing, and is made when it is asked for again', async () => {
    const what = recipe('orphan');
    const kill = (stage: string) => {
      if (stage === 'merge') for (const id of makersOf(process.pid)) process.kill(id, 'SIGKILL');
    };
    const error = await fault(compose(what, { onStage: kill }));
    expect(error.code).toBe('EXPERT_CRASHED');
    expect(error.message).toMatch(/composing process failed: .*SIGKILL.*Nothing was kept/);
    await expectNothing('orphan');
    expect((await compose(what)).made).toMatchObject({ version: '1', existed: false });
  });

  it('by the death of the composer ends its process too, and the next composer begins with an empty folder', async () => {
    const what = recipe('widow');
    const first = await mesh.composerProcess();
    let makers: number[] = [];
    const kill = (stage: string) => {
      if (stage !== 'merge') return;
      makers = makersOf(first.process.pid!);
      first.process.kill('SIGKILL');
    };
    expect((await fault(compose(what, { client: first.client, onStage: kill }))).code).toBe(
      'UPSTREAM_UNAVAILABLE',
    );
    first.client.close();
    expect(makers).toHaveLength(1);
    await waitUntil('its process has ended', () => !existsSync(`/proc/${makers[0]!}`), { timeoutMs: 30_000 });
    expect(readdirSync(mesh.workFolder)).toHaveLength(1);
    const second = await mesh.composerProcess();
    await expectNothing('widow');
    expect((await compose(what, { client: second.client })).made).toMatchObject({
      version: '1',
      existed: false,
    });
    second.client.close();
  });

  it('by a full disk says so, and leaves nothing', async () => {
    const { client } = await mesh.composerProcess(150);
    const error = await fault(compose(recipe('large'), { client }));
    expect(error.code).toBe('ARTIFACT_STORE_FULL');
    expect(error.message).toMatch(/no space left; free space/);
    client.close();
    await expectNothing('large');
    expect((await compose(recipe('large'))).made.existed).toBe(false);
  });

  it('after its version was registered is found, not made again', async () => {
    const { made } = await compose(recipe('half'));
    // A registry that heard of the version and never of the composition.
    const other = new ComposerMesh();
    try {
      await other.start();
      await other.addBase('pico', 1);
      await other.addTrained(COURT, 2);
      await other.addTrained(DESK, 2);
      const folder = join(mesh.folder, 'moved');
      const digest = parseDigest(made.manifestDigest);
      await importBundle(await materialiseBundle(digest, mesh.store, folder), other.store);
      await other.registry.registerVersion({
        version: { expert: 'half', version: '1', manifestDigest: digest },
      });
      const found = await compose(recipe('half'), { client: other.composer });
      expect(found.stages).toEqual(['preflight']);
      expect(found.made).toEqual({ ...made, existed: true });
      const { recipeDigest } = made;
      expect((await other.composer.getComposition({ recipeDigest })).composition?.version).toBe('1');
    } finally {
      await other.stop();
    }
  });
});

describe('a parent that goes while it is composed', () => {
  it('from the artifacts is named by what is missing, and composing goes on when it is back', async () => {
    await mesh.addTrained({ ...COURT, name: 'brief', seed: 21 }, 3);
    const { manifest } = await openBundle(join(mesh.folder, 'made', 'brief'));
    const file = manifest.files.find(({ path }) => path === 'adapter.safetensors')!;
    const stored = mesh.store.pathOf(`sha256:${file.sha256}`);
    const what = recipe('with-brief', ['brief', 'desk']);
    const take = (stage: string) => (stage === 'preflight' ? rename(stored, `${stored}.away`) : undefined);
    const error = await fault(compose(what, { onStage: take }));
    expect(error.code).toBe('ARTIFACT_NOT_FOUND');
    expect(error.message).toContain(file.sha256);
    await expectNothing('with-brief');
    await rename(`${stored}.away`, stored);
    expect((await compose(what)).made.existed).toBe(false);
  });

  it('from the registry is in no composition', async () => {
    await mesh.addTrained({ ...COURT, name: 'leaver', seed: 22 }, 3);
    const what = recipe('with-leaver', ['desk', 'leaver']);
    const remove = (stage: string) =>
      stage === 'merge' ? mesh.registry.removeExpert({ expert: 'leaver' }) : undefined;
    const error = await fault(compose(what, { onStage: remove }));
    expect(error.code).toBe('EXPERT_NOT_FOUND');
    expect(error.message).toMatch(/leaver@1 was removed while it was composed; nothing was registered/);
    await expectNothing('with-leaver');
    expect((await fault(compose(what))).message).toMatch(/No expert "leaver" is registered/);
  });
});
