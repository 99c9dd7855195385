import type { RegistryView } from '@thalamus/registry';

type Registry = Pick<RegistryView, 'expert' | 'version'>;

/** Compositions of compositions that are looked into; what lies deeper is open to nobody. */
const MAX_DEPTH = 8;

/**
 * Whether a tenant may use a version of an expert: the expert is open to it, and so is everything that the version is composed of.
 * A parent that is not registered here keeps nobody out.
 */
export function isOpenTo(view: Registry, name: string, version: string, tenant: string, depth = 0): boolean {
  const tenants = view.expert(name)?.tenants ?? [];
  if (tenants.length > 0 && !tenants.includes(tenant)) return false;
  const parents = view.version(name, version)?.parents ?? [];
  if (parents.length === 0) return true;
  if (depth >= MAX_DEPTH) return false;
  return parents.every((parent) => {
    const [expert = '', number = ''] = parent.split('@');
    return isOpenTo(view, expert, number, tenant, depth + 1);
  });
}
