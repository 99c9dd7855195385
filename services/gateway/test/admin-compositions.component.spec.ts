import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  COMPOSITION_REPORT,
  encodeCompositionReport,
  FolderArtifactStore,
  importBundle,
  writeBundle,
  type BundleFiles,
  type CompositionReport,
} from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminAnswers } from '../src/adapters/http/admin-schemas.js';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';

const TASK = 'text-classification';
const DIGEST = `sha256:${'a'.repeat(64)}` as const;
const MADE_AT = Date.parse('2026-11-29T12:00:00.000Z');
const HOUR_MS = 3_600_000;
/** In the order of no names: the weights of the graph are. */
const PARENTS = [
  { name: 'clinic', version: '1', digest: DIGEST },
  { name: 'banking', version: '2', digest: DIGEST },
];

const report: CompositionReport = {
  schemaVersion: 1,
  method: 'twin',
  protocol: 'honest',
  parents: [
    { ...PARENTS[0]!, n: 0, parentAccuracy: null, accuracy: null, normalized: null, routedHere: null },
    { ...PARENTS[1]!, n: 100, parentAccuracy: 0.8, accuracy: 0.76, normalized: 0.95, routedHere: 0.9 },
  ],
  normalized: 0.95,
  routerAccuracy: 0.9,
  routerValidationAccuracy: 0.91,
  bytes: 30_000_000,
  parentBytes: 181_000_000,
  ranks: [{ fraction: 1, bytes: 1000, energy: 1 }],
  chosen: { bytes: 1000, energy: 1 },
  abstainBelow: 0.3,
};
const figures = (accuracy: number) => [
  { dataset: 'banking', split: 'test', metric: 'accuracy', value: accuracy, n: 100n },
  { dataset: 'banking', split: 'test', metric: 'parent-accuracy', value: 0.8, n: 100n },
  { dataset: 'composition', split: 'test', metric: 'router-accuracy', value: 0.9, n: 100n },
];

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start({}, { updater: true });
  await register('duo', { files: { [COMPOSITION_REPORT]: encodeCompositionReport(report) }, age: 0 });
  await register('older', { files: {}, age: 1 });
  await register('broken', {
    files: { [COMPOSITION_REPORT]: new TextEncoder().encode('{"schemaVersion":1}') },
    age: 2,
  });
  await register('brought', { files: {}, age: 3, isRecorded: false });
  await register('others', { files: {}, age: 4, parents: ['banking@2', 'private@1'] });
  const allowedExperts = ['banking', 'duo'];
  await gateway.register('policy/strict', { case: 'policy', value: { tenant: 'strict', allowedExperts } });
  await waitUntil('the compositions are known', async () => (await list(KEYS.globex)).data.length === 5);
});
afterAll(() => gateway.stop());

/** Stores the bundle of a composed expert with these further files, and registers it as so many hours old. */
async function register(
  name: string,
  wish: {
    readonly files: BundleFiles;
    readonly age: number;
    readonly isRecorded?: boolean;
    readonly parents?: readonly string[];
  },
): Promise<void> {
  const { files, age, isRecorded = true } = wish;
  const folder = join(gateway.folder, name);
  const { digest } = await writeBundle(
    folder,
    {
      schemaVersion: 1,
      name,
      version: '1',
      kind: 'twin',
      task: TASK,
      description: 'For tests.',
      labels: ['no', 'yes'],
      maxTokens: 8,
      parameterCount: 1,
      flopsPerToken: 1,
      precision: 'float32',
      licence: 'Apache-2.0',
      trainingData: [],
      lineage: { recipe: 'twin of clinic', parents: PARENTS, seed: 7, codeVersion: 'thalamus 0.1.0' },
      evaluation: [],
      trust: { signed: false, scanned: false, backdoorTested: false },
      releaseDate: '2026-11-29',
    },
    { 'model.onnx': new Uint8Array([1]), ...files },
  );
  await importBundle(folder, new FolderArtifactStore(join(gateway.folder, 'artifacts')));
  const parents = [...(wish.parents ?? PARENTS.map((parent) => `${parent.name}@${parent.version}`))];
  const createdAt = timestampFromMs(MADE_AT - age * HOUR_MS);
  const version = {
    expert: name,
    version: '1',
    kind: registryV1.ExpertKind.TWIN,
    task: TASK,
    manifestDigest: digest,
    sizeBytes: 30_000_000n,
    releasedAt: createdAt,
    evaluation: figures(0.72),
    parents,
  };
  await gateway.register(`version/${name}@1`, { case: 'version', value: version });
  const expiresAt = timestampFromMs(MADE_AT + HOUR_MS);
  const expert = { name, task: TASK, stable: '1', ...(age === 0 ? { expiresAt } : {}) };
  await gateway.register(`expert/${name}`, { case: 'expert', value: expert });
  if (!isRecorded) return;
  const recipeDigest = `sha256:${String(age).repeat(64)}`;
  const composition = { recipeDigest, expert: name, version: '1', parents, method: 'switch', createdAt };
  await gateway.register(`composition/${recipeDigest}`, { case: 'composition', value: composition });
}

type Who = Parameters<GatewayUnderTest['admin']>[3];
const list = async (who: Who = 'viewer') =>
  adminAnswers.compositions.parse(
    (await gateway.admin('GET', '/admin/v1/compositions', undefined, who)).body,
  );
const one = (name: string, who: Who = 'viewer', version = '1') =>
  gateway.admin('GET', `/admin/v1/compositions/${name}/versions/${version}`, undefined, who);

describe('the compositions', () => {
  it('are listed newest first, with parents in the order of the weights and what the registry knows', async () => {
    const { data } = await list();
    expect(data.map(({ name, recipeDigest }) => [name, recipeDigest !== null])).toEqual([
      ['duo', true],
      ['older', true],
      ['broken', true],
      ['brought', false],
    ]);
    expect(data[0]).toMatchObject({
      task: TASK,
      stable: true,
      method: 'switch',
      hidden: 0,
      normalized: expect.closeTo(0.9, 9) as number,
      routerAccuracy: 0.9,
      sizeBytes: 30_000_000,
      createdAt: '2026-11-29T12:00:00.000Z',
      expiresAt: '2026-11-29T13:00:00.000Z',
    });
    expect(data[0]?.parents).toEqual([
      expect.objectContaining({
        name: 'banking',
        n: 100,
        accuracy: 0.72,
        parentAccuracy: 0.8,
        routedHere: null,
      }),
      expect.objectContaining({ name: 'clinic', n: 0, accuracy: null, normalized: null }),
    ]);
    expect(data[3]).toMatchObject({ method: null, expiresAt: null });
  });

  it("name no parent that the caller may not use, and nothing that is made of what is another tenant's", async () => {
    const { data } = await list(KEYS.strict);
    expect(JSON.stringify(data)).not.toContain('clinic');
    expect(data).toMatchObject([
      { name: 'duo', hidden: 1, parents: [{ name: 'banking' }, { name: 'hidden-1', kind: null }] },
    ]);
    for (const who of ['admin', KEYS.acme] as const)
      expect((await list(who)).data.map(({ name }) => name)).not.toContain('others');
    expect((await list(KEYS.globex)).data.map(({ name }) => name)).toContain('others');
    expect((await one('others')).status).toBe(404);
  });

  it('are for those with a key', async () => {
    const response = await gateway.fetch('/admin/v1/compositions', { key: null });
    expect(response.status).toBe(401);
  });
});

describe('a composition', () => {
  it('has the report of its bundle, whose figures go before those of the registry', async () => {
    const { status, body } = await one('duo');
    expect(status).toBe(200);
    const shown = adminAnswers.composition.parse(body);
    expect(shown.report).toEqual(report);
    expect(shown).toMatchObject({
      method: 'twin',
      seed: 7,
      codeVersion: 'thalamus 0.1.0',
      recipe: 'twin of clinic',
      normalized: 0.95,
    });
    expect(shown.parents[0]).toMatchObject({ name: 'banking', accuracy: 0.76, routedHere: 0.9 });
  });

  it('says nothing of a parent that the caller may not use', async () => {
    const { body } = await one('duo', KEYS.strict);
    expect(JSON.stringify(body)).not.toContain('clinic');
    const shown = adminAnswers.composition.parse(body);
    expect(shown.recipe).toBeNull();
    expect(shown.report?.parents.map(({ name }) => name)).toEqual(['hidden-1', 'banking']);
    expect(adminAnswers.composition.parse((await one('duo', KEYS.acme)).body).report).toEqual(report);
  });

  it('has what the registry knows where its bundle holds no report', async () => {
    for (const name of ['older', 'brought']) {
      const shown = adminAnswers.composition.parse((await one(name)).body);
      expect(shown).toMatchObject({ report: null, seed: 7 });
      expect(shown.parents[0]).toMatchObject({ name: 'banking', accuracy: 0.72 });
    }
  });

  it('is refused where its report is damaged', async () => {
    const { body } = await one('broken');
    expect(body).toMatchObject({ error: { code: 'BUNDLE_INVALID' } });
    expect(JSON.stringify(body)).toContain('composition.json of broken@1');
  });

  it.each([
    ['nobody', '1'],
    ['duo', '2'],
    // Not composed.
    ['banking', '2'],
  ])('%s@%s is 404 with where to look', async (name, version) => {
    const { status, body } = await one(name, 'viewer', version);
    expect(status).toBe(404);
    expect(body).toMatchObject({ error: { code: 'RESOURCE_NOT_FOUND' } });
    expect(JSON.stringify(body)).toContain('GET /admin/v1/compositions');
  });
});
