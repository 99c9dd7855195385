import { openRouterBundle } from '@thalamus/bundle';
import type { registryV1 } from '@thalamus/contracts';
import { AS_LAUNCHER, LAUNCHER, type LauncherRegistry } from './launcher-registry.js';

/**
 * Registers the router model of a folder, once. It decides for its task unless somebody else has chosen one: a start never
 * undoes what an operator activated.
 */
export async function registerRouterModel(registry: LauncherRegistry, folder: string): Promise<void> {
  const { manifest, digest } = await openRouterBundle(folder);
  const { resources } = await registry.listResources({ kind: 'router-model' }, AS_LAUNCHER);
  const known = resources.flatMap(({ value, updatedBy }) =>
    value.case === 'routerModel' ? [{ model: value.value, updatedBy }] : [],
  );
  if (known.some(({ model }) => model.manifestDigest === digest)) return;
  const activate = !known.some((item) => isChosenByAnother(item, manifest.task));
  const why = activate ? { reason: `this mesh ships ${manifest.name}@${manifest.version}` } : {};
  const request = { routerModel: { manifestDigest: digest }, activate, ...why };
  await registry.registerRouterModel(request, AS_LAUNCHER);
}

function isChosenByAnother(
  { model, updatedBy }: { readonly model: registryV1.RouterModel; readonly updatedBy: string },
  task: string,
): boolean {
  return model.active && model.task === task && updatedBy !== LAUNCHER;
}
