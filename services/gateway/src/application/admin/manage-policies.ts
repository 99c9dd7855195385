import type { MessageInitShape } from '@bufbuild/protobuf';
import type { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Caller, RequestScope } from '../../domain/caller.js';
import { managesTenant, notYours, runsMesh } from '../../domain/tenancy.js';
import type { AskUpdater } from './ask-updater.js';
import { awaitRevision } from './await-revision.js';
import { expected } from './manage-experts.js';

/** A policy as it is written. */
export type WrittenPolicy = Omit<
  MessageInitShape<typeof registryV1.PolicySchema>,
  'tenant' | '$typeName' | '$unknown'
>;

/** Shows policies, and stores them through the updater. A policy limits its tenant, so only who runs the mesh writes it. */
export class ManagePolicies {
  constructor(
    private readonly updater: AskUpdater,
    private readonly view: RegistryView,
  ) {}

  list(caller: Caller): registryV1.Resource[] {
    return this.view
      .list('policy/')
      .filter(({ value }) => value.case === 'policy' && managesTenant(caller, value.value.tenant));
  }

  /** @throws RESOURCE_NOT_FOUND */
  get(tenant: string, caller: Caller): registryV1.Resource {
    const found = managesTenant(caller, tenant) ? this.view.get(`policy/${tenant}`) : undefined;
    if (found) return found;
    throw new ThalamusError(
      'RESOURCE_NOT_FOUND',
      `The tenant ${tenant} has no policy of its own; that of the tenant default holds, when there is one.`,
    );
  }

  async put(
    tenant: string,
    policy: WrittenPolicy,
    expectedRevision: number | undefined,
    scope: RequestScope,
  ): Promise<registryV1.Resource> {
    if (!runsMesh(scope.caller)) throw notYours('A policy', scope.caller);
    const request = { policy: { ...policy, tenant }, ...expected({ expectedRevision }) };
    const { policy: stored } = await this.updater.run(scope, ({ registry }, call) =>
      registry.putPolicy(request, call),
    );
    if (!stored) throw new ThalamusError('UPSTREAM_ERROR', 'The updater answered without the policy.');
    await awaitRevision(this.view, stored.revision, scope);
    return stored;
  }
}
