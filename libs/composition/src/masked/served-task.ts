import { openBundle, type ExpertManifest } from '@thalamus/bundle';

/** Task of the first parent, which all parents serve; undefined where there is none. @throws BUNDLE_INVALID */
export async function servedTask(
  parents: readonly { readonly folder: string }[],
): Promise<ExpertManifest['task'] | undefined> {
  const [first] = parents;
  return first && (await openBundle(first.folder)).manifest.task;
}
