import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { ResolvedExpert } from '../resolve-expert.js';
import type { UpstreamTarget } from './chat-upstream.port.js';

/** Where the version of an expert is reached. @throws REQUEST_INVALID when it is no remote expert */
export function upstreamOf(view: RegistryView, resolved: ResolvedExpert): UpstreamTarget {
  const version = view.version(resolved.expert, resolved.version);
  if (version?.kind !== registryV1.ExpertKind.UPSTREAM || !version.upstream)
    throw new ThalamusError(
      'REQUEST_INVALID',
      `${resolved.expert} serves ${resolved.task}, not chat; GET /v1/models shows the task of each.`,
      { violations: [{ field: 'model', description: 'must serve text-generation' }] },
    );
  return {
    expert: resolved.expert,
    version: resolved.version,
    baseUrl: version.upstream.baseUrl,
    model: version.upstream.model,
    keyReference: version.upstream.keyReference,
    price: { input: version.priceInputUsdPerMtok, output: version.priceOutputUsdPerMtok },
  };
}
