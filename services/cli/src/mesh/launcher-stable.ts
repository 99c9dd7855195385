import { registryV1 } from '@thalamus/contracts';
import { AS_LAUNCHER, LAUNCHER, type LauncherRegistry } from './launcher-registry.js';

/** A registered version, and who registered it. */
export type RegisteredVersion = registryV1.ExpertVersion & { readonly updatedBy: string };

/** Versions of an expert. */
export async function versionsOf(registry: LauncherRegistry, expert: string): Promise<RegisteredVersion[]> {
  const request = { kind: 'version', namePrefix: `${expert}@` };
  const { resources } = await registry.listResources(request, AS_LAUNCHER);
  return resources.flatMap(({ value, updatedBy }) =>
    value.case === 'version' && value.value.expert === expert ? [{ ...value.value, updatedBy }] : [],
  );
}

/**
 * Puts a version on the stable channel, unless what is there was registered by somebody else. `known`: the versions before this
 * one.
 */
export async function moveOwnStable(
  registry: LauncherRegistry,
  { expert, version, reason }: { readonly expert: string; readonly version: string; readonly reason: string },
  known: readonly RegisteredVersion[],
): Promise<void> {
  const stable = await stableOf(registry, expert);
  if (stable === version) return;
  const isOurs = known.some((one) => one.version === stable && one.updatedBy === LAUNCHER);
  if (!isOurs && stable !== '') return;
  await registry.setChannel({ expert, channel: registryV1.Channel.STABLE, version, reason }, AS_LAUNCHER);
}

/** Version of the stable channel, as it is after what was just registered. */
async function stableOf(registry: LauncherRegistry, expert: string): Promise<string> {
  const { resource } = await registry.getResource({ key: `expert/${expert}` }, AS_LAUNCHER);
  return resource?.value.case === 'expert' ? resource.value.value.stable : '';
}
