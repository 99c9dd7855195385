import { waitUntil } from '@thalamus/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchMesh, type LaunchedMesh, type MeshFile } from '../support/mesh.js';
import { ALERT_RULES, comparedBy, panelQueries, queriesWithoutData, type PlacedQuery } from './panels.js';
import { startPrometheus, type PrometheusServer } from './prometheus.js';
import { startTraffic, type Traffic } from './traffic.js';

/** Demo upstream: a stand-in for a remote model, not a service of the mesh. */
const NOT_OURS = 'replay';

let mesh: LaunchedMesh;
let prometheus: PrometheusServer;
let traffic: Traffic;
let services: string[];

beforeAll(async () => {
  mesh = await launchMesh();
  const file = JSON.parse(readFileSync(join(mesh.dataFolder, 'mesh.json'), 'utf8')) as MeshFile;
  const targets = file.processes
    .filter(({ service }) => service !== NOT_OURS)
    .map(({ service, ops }) => ({ job: service, address: ops.replace(/^https?:\/\//, '') }));
  services = targets.map(({ job }) => job);
  prometheus = await startPrometheus(targets, ALERT_RULES);
  traffic = startTraffic(mesh);
});

afterAll(async () => {
  await prometheus.stop();
  await mesh.stop();
});

/** Waits until every query has data; when time is over, names the ones that have none. */
async function expectData(queries: readonly PlacedQuery[], timeoutMs = 60_000): Promise<void> {
  let missing: string[] = [];
  await waitUntil(
    'every query has data',
    async () => {
      missing = await queriesWithoutData(prometheus, queries);
      return missing.length === 0;
    },
    { timeoutMs, everyMs: 500 },
  ).catch(() => undefined);
  expect(missing).toEqual([]);
}

describe('a mesh under Prometheus', () => {
  it('is scraped whole, each service under its own name', async () => {
    expect([...services].sort()).toEqual([
      'composer',
      'expert-host',
      'gateway',
      'router',
      'updater',
      'worker',
    ]);
    await waitUntil('every service was scraped', async () => {
      const up = await prometheus.query('up == 1');
      return services.every((service) => up.some(({ metric }) => metric['job'] === service));
    });
  });

  it('has data for every panel of every dashboard', async () => {
    const queries = panelQueries();
    expect(queries.length).toBeGreaterThan(20);
    // A composition takes its time.
    await expectData(queries, 300_000);
  }, 360_000);

  it('has read every alert, and a value for what each compares while nothing is wrong', async () => {
    const rules = await waitUntil('every rule was evaluated', async () => {
      const found = await prometheus.alertRules();
      return found.length > 0 && found.every(({ health }) => health !== 'unknown') ? found : undefined;
    });
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(rules.length).toBe(readFileSync(ALERT_RULES, 'utf8').match(/- alert: /g)?.length);
    await expectData(
      rules.map(({ name, query }) => ({ place: `alert ${name}`, expression: comparedBy(query) })),
    );
  });

  it('would name a panel without data, and one that is no query', async () => {
    const missing = await queriesWithoutData(prometheus, [
      { place: 'Made up > Nothing', expression: 'sum(rate(thalamus_no_such_total[10s]))' },
      { place: 'Made up > Broken', expression: 'sum(rate(' },
      { place: 'Made up > Division by nothing', expression: 'vector(0) / vector(0)' },
      { place: 'Made up > Fine', expression: 'vector(1)' },
    ]);
    expect(missing).toEqual([
      'Made up > Nothing: no series for sum(rate(thalamus_no_such_total[10s]))',
      expect.stringMatching(/^Made up > Broken: .*parse error.* for sum\(rate\($/),
      'Made up > Division by nothing: no finite value for vector(0) / vector(0)',
    ]);
  });

  it('was asked by callers without a fault all the while', async () => {
    await traffic.stop();
  });
});
