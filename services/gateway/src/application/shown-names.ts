import type { RegistryView } from '@thalamus/registry';
import type { Caller } from '../domain/caller.js';
import { runsMesh } from '../domain/tenancy.js';
import type { ListExperts } from './list-experts.js';

/** Names of experts as a caller may read them, by the names that they have. */
export type ShownNames = (experts: readonly string[]) => ReadonlyMap<string, string>;

/**
 * Names of experts as a caller may read them: all for who runs the mesh, else a number in place of each that the caller may not
 * use. What no expert is registered as is no secret.
 */
export function shownNames(list: ListExperts, view: RegistryView, caller: Caller): ShownNames {
  const open = new Set(list.run(caller).map(({ expert }) => expert.name));
  const isHidden = (name: string) => !runsMesh(caller) && view.expert(name) !== undefined && !open.has(name);
  return (experts) => {
    let hidden = 0;
    return new Map(experts.map((name) => [name, isHidden(name) ? `hidden-${++hidden}` : name]));
  };
}

/** How many of them have a number in place of their name. */
export function hiddenOf(names: ReadonlyMap<string, string>): number {
  return [...names].filter(([name, shown]) => name !== shown).length;
}
