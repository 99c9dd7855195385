import { ThalamusError } from '@thalamus/errors';

/** What the name of a composition begins with. */
export const COMPOSE_PREFIX = 'compose:';

/** A parent as a caller names it; undefined: the stable version. */
export interface ParentReference {
  readonly expert: string;
  readonly version: string | undefined;
}

/** A parent with the version that answers for it. */
export interface PinnedParent {
  readonly expert: string;
  readonly version: string;
}

const PARENT = /^([a-z0-9][a-z0-9-]{0,62})(?:@([1-9][0-9]{0,17}))?$/;

/** True for what names a composition, well formed or not. */
export function isComposition(modelName: string): boolean {
  return modelName.startsWith(COMPOSE_PREFIX);
}

/** Reads `compose:a+b@2`; the parents sorted by name, whatever their order. @throws REQUEST_INVALID that names the parent */
export function parseCompositionName(text: string): ParentReference[] {
  const parents = text.slice(COMPOSE_PREFIX.length).split('+').map(parentOf);
  const [first, ...others] = parents;
  if (others.length === 0)
    throw refused(`names one parent, ${first?.expert ?? ''}; name two or more, or that expert itself`);
  const seen = new Set<string>();
  for (const { expert } of parents) {
    if (seen.has(expert)) throw refused(`names ${expert} twice; each parent may be named once`);
    seen.add(expert);
  }
  return parents.sort((a, b) => (a.expert < b.expert ? -1 : 1));
}

/** The name that every way of writing the same composition has. */
export function compositionName(parents: readonly PinnedParent[]): string {
  return COMPOSE_PREFIX + parents.map(({ expert, version }) => `${expert}@${version}`).join('+');
}

function parentOf(text: string): ParentReference {
  const [, expert, version] = PARENT.exec(text) ?? [];
  if (expert === undefined)
    throw refused(`has the parent "${text.slice(0, 80)}", which is neither an expert nor expert@version`);
  return { expert, version };
}

function refused(reason: string): ThalamusError {
  return new ThalamusError('REQUEST_INVALID', `The composition ${reason}.`, {
    violations: [{ field: 'model', description: reason }],
  });
}
