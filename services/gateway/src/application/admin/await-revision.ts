import type { RegistryView } from '@thalamus/registry';
import type { RequestScope } from '../../domain/caller.js';

const LONGEST_MS = 2_000;

/** Waits until this gateway has seen a write, so that who made it reads it back here. What is written stands either way. */
export async function awaitRevision(
  view: RegistryView,
  revision: bigint,
  scope: RequestScope,
): Promise<void> {
  const signal = AbortSignal.any([scope.signal, AbortSignal.timeout(LONGEST_MS)]);
  await view.waitForRevision(revision, signal).catch(() => undefined);
}
