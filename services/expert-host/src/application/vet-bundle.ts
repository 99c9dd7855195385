import { parseDigest, type SignaturePolicy } from '@thalamus/bundle';
import type { RegistryView } from '@thalamus/registry';

/**
 * Whether the bundle of a digest, an expert's or a base's, may be opened: by the signatures that are registered with its version, so
 * that neither the updater nor the store needs to be believed.
 * @throws SIGNATURE_REFUSED
 */
export function bundleVet(view: RegistryView, policy: SignaturePolicy): (digest: string) => void {
  return (digest) => {
    if (!policy.isActive) return;
    const version = view
      .list('version/')
      .flatMap(({ value }) => (value.case === 'version' ? [value.value] : []))
      .find(({ manifestDigest }) => manifestDigest === digest);
    const what = version ? `${version.expert}@${version.version}` : 'A bundle that is not registered';
    policy.check(what, parseDigest(digest), version?.signatures ?? []);
  };
}
