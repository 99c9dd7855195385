import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  encodeRouterEvaluation,
  FolderArtifactStore,
  importBundle,
  ROUTER_EVALUATION,
  writeRouterBundle,
  type BundleFiles,
  type RouterEvaluationReport,
} from '@thalamus/bundle';
import { waitUntil } from '@thalamus/testing';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminAnswers } from '../src/adapters/http/admin-schemas.js';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';

const TASK = 'text-classification';
const EXPERTS = ['banking', 'private'] as const;
const DIGEST = `sha256:${'a'.repeat(64)}` as const;

const report: RouterEvaluationReport = {
  schemaVersion: 1,
  router: 'made',
  version: '2',
  lossUnit: 'error',
  dataset: 'made',
  split: 'test',
  n: 2,
  fitted: false,
  date: '2026-11-29',
  experts: [...EXPERTS],
  figures: {
    loss: { value: 0.2, interval: [0.1, 0.3] },
    regret: { value: 0.1, interval: null },
    top1: { value: 0.9, interval: null },
    coverage: 0.91,
    targetCoverage: 0.9,
    brier: 0.1,
    cost: 1,
  },
  baselines: [{ name: 'bestSingle', expert: 'private', loss: 0.3, regret: 0.2, behind: null, cost: null }],
  choices: EXPERTS.map((expert) => ({ expert, chosen: 0.5, best: 0.5 })),
  reliability: [
    { of: 'all', calibrationError: 0, bins: [{ n: 2, predicted: 0.2, measured: 0.2, error: null }] },
  ],
  pareto: {
    axis: 'usdPerMillionTokens',
    points: [{ weight: 0, cost: 1, loss: 0.2 }],
    experts: EXPERTS.map((expert, cost) => ({ expert, cost, loss: 0.3 })),
  },
  map: {
    neighbours: 1,
    chance: { label: 0.5, best: null },
    labels: ['letters-to-private', 'bank'],
    label: [0, 1],
    chosen: [0, 1],
    spaces: [{ space: 'losses', purity: { label: 1, best: 0.5 }, x: [0, 1000], y: [5, 6] }],
  },
  notes: ['of private'],
};

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start({}, { updater: true });
  await register('1', false, {});
  await register('2', true, { [ROUTER_EVALUATION]: encodeRouterEvaluation(report) });
  await register('3', false, { [ROUTER_EVALUATION]: new TextEncoder().encode('{"schemaVersion":1}') });
  await waitUntil('the router models are known', async () => {
    const { data } = adminAnswers.routers.parse((await list()).body);
    return data.length === 3;
  });
});
afterAll(() => gateway.stop());

/** How the one that decides came to it. */
const ACTIVATION = {
  previous: 'made@1',
  comparisonDigest: DIGEST,
  at: timestampFromDate(new Date('2026-11-29T08:00:00Z')),
};
const ACTIVATED = {
  at: '2026-11-29T08:00:00.000Z',
  previous: 'made@1',
  rolledBack: null,
  comparison: DIGEST,
  reason: null,
};

/** Stores a router model whose bundle holds these further files, and registers it. */
async function register(version: string, active: boolean, files: BundleFiles): Promise<void> {
  const folder = join(gateway.folder, `made-${version}`);
  const { digest } = await writeRouterBundle(
    folder,
    {
      schemaVersion: 1,
      name: 'made',
      version,
      task: TASK,
      lossUnit: 'error',
      description: 'For tests.',
      encoder: { name: 'base', digest: DIGEST, maxTokens: 8, dimension: 2 },
      candidates: EXPERTS.map((expert) => ({
        expert,
        version: '1',
        fittedOn: { lossTable: DIGEST, rows: 2 },
      })),
      heads: { kind: 'linear', file: 'heads.safetensors' },
      costScales: {},
      verbalLevels: {},
      calibration: {
        coverage: 0.9,
        intervals: EXPERTS.map((expert) => ({ expert, lower: 0, upper: 0 })),
      },
      licence: 'Apache-2.0',
      trainingData: [],
      evaluation: [],
      releaseDate: '2026-11-29',
    },
    { 'heads.safetensors': new Uint8Array([1]), ...files },
  );
  await importBundle(folder, new FolderArtifactStore(join(gateway.folder, 'artifacts')));
  const value = {
    name: 'made',
    version,
    task: TASK,
    manifestDigest: digest,
    encoderDigest: DIGEST,
    candidates: [...EXPERTS],
    active,
    ...(active ? { activation: ACTIVATION } : {}),
  };
  await gateway.register(`router-model/made@${version}`, { case: 'routerModel', value });
}

type Who = Parameters<GatewayUnderTest['admin']>[3];
const list = (who: Who = 'viewer') => gateway.admin('GET', '/admin/v1/routers', undefined, who);
const evaluation = (version: string, who: Who = 'viewer') =>
  gateway.admin('GET', `/admin/v1/routers/made/versions/${version}/evaluation`, undefined, who);

describe('the router models', () => {
  it('are listed with the one that decides first, then the newest', async () => {
    const { data } = adminAnswers.routers.parse((await list()).body);
    expect(data.map(({ version, active }) => [version, active])).toEqual([
      ['2', true],
      ['3', false],
      ['1', false],
    ]);
    expect(data[0]).toMatchObject({ name: 'made', task: TASK, experts: EXPERTS, hidden: 0 });
    expect(data.map(({ activation }) => activation)).toEqual([ACTIVATED, null, null]);
  });

  it('name no expert that the caller may not use', async () => {
    const { data } = adminAnswers.routers.parse((await list(KEYS.acme)).body);
    expect(data[0]).toMatchObject({ experts: ['banking', 'hidden-1'], hidden: 1 });
  });

  it('are for those with a key', async () => {
    const response = await gateway.fetch('/admin/v1/routers', { key: null });
    expect(response.status).toBe(401);
  });
});

describe('the evaluation of a router model', () => {
  it('is the report of its bundle', async () => {
    const { status, body } = await evaluation('2');
    expect(status).toBe(200);
    expect(adminAnswers.evaluation.parse(body)).toEqual({
      object: 'evaluation',
      name: 'made',
      version: '2',
      task: TASK,
      active: true,
      experts: EXPERTS,
      hidden: 0,
      activation: ACTIVATED,
      evaluation: report,
    });
  });

  it('says nothing of an expert that the caller may not use, by whatever name', async () => {
    const { body } = await evaluation('2', KEYS.acme);
    expect(JSON.stringify(body)).not.toContain('private');
    const { evaluation: shown } = adminAnswers.evaluation.parse(body);
    expect(shown?.baselines[0]?.expert).toBe('hidden-1');
    expect(shown?.map.chosen).toEqual(report.map.chosen);
    const { body: open } = await evaluation('2', KEYS.globex);
    expect(adminAnswers.evaluation.parse(open).evaluation).toEqual(report);
  });

  it('is null where the bundle holds none, and refused where it is damaged', async () => {
    expect((await evaluation('1')).body).toMatchObject({ evaluation: null });
    const { body } = await evaluation('3');
    expect(body).toMatchObject({ error: { code: 'BUNDLE_INVALID' } });
    expect(JSON.stringify(body)).toContain('evaluation.json of made@3');
  });

  it.each(['9', 'x'])('of version %s is 404 with where to look', async (version) => {
    const { status, body } = await evaluation(version);
    expect(status).toBe(404);
    expect(body).toMatchObject({ error: { code: 'ROUTER_MODEL_NOT_FOUND' } });
  });
});
