import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { openRouterBundle } from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { LAUNCHER, type LauncherRegistry } from './launcher-registry.js';
import { registerRouterModel } from './register-router-model.js';
import { zooFolder } from './zoo-index.js';

const folder = join(zooFolder(), 'router', 'zoo-router');
let shipped: Awaited<ReturnType<typeof openRouterBundle>>;
beforeAll(async () => {
  shipped = await openRouterBundle(folder);
});

/** What the launcher asks a registry for that holds these router models. */
async function asked(
  known: readonly {
    readonly model: MessageInitShape<typeof registryV1.RouterModelSchema>;
    readonly updatedBy: string;
  }[],
) {
  const requests: unknown[] = [];
  const resources = known.map(({ model, updatedBy }) =>
    create(registryV1.ResourceSchema, {
      key: `router-model/${model.name}@1`,
      updatedBy,
      value: { case: 'routerModel', value: create(registryV1.RouterModelSchema, model) },
    }),
  );
  const registry = {
    listResources: () => Promise.resolve({ resources }),
    registerRouterModel: (request: unknown) => {
      requests.push(request);
      return Promise.resolve({});
    },
  } as unknown as LauncherRegistry;
  await registerRouterModel(registry, folder);
  return requests;
}

describe('the router model that a start ships', () => {
  const other = (updatedBy: string) => ({
    model: {
      name: 'other',
      version: '1',
      task: shipped.manifest.task,
      active: true,
      manifestDigest: 'sha256:1',
    },
    updatedBy,
  });
  const routerModel = () => ({ manifestDigest: shipped.digest });

  it('takes the place of an earlier one of a start, and says why', async () => {
    const reason = `this mesh ships ${shipped.manifest.name}@${shipped.manifest.version}`;
    expect(await asked([other(LAUNCHER)])).toEqual([{ routerModel: routerModel(), activate: true, reason }]);
    expect(await asked([])).toEqual([{ routerModel: routerModel(), activate: true, reason }]);
  });

  it('is registered alone where somebody else has chosen another, and not at all when it is known', async () => {
    expect(await asked([other('cli')])).toEqual([{ routerModel: routerModel(), activate: false }]);
    const known = {
      model: { name: 'own', task: shipped.manifest.task, manifestDigest: shipped.digest },
      updatedBy: 'cli',
    };
    expect(await asked([known])).toEqual([]);
  });
});
