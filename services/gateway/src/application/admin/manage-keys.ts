import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Role } from '../../domain/access.js';
import type { Caller, RequestScope } from '../../domain/caller.js';
import { managesTenant, notYours } from '../../domain/tenancy.js';
import type { AskUpdater } from './ask-updater.js';
import { awaitRevision } from './await-revision.js';

const ROLES: Readonly<Record<Role, registryV1.Role>> = {
  viewer: registryV1.Role.VIEWER,
  operator: registryV1.Role.OPERATOR,
  admin: registryV1.Role.ADMIN,
};

/** A key that is to be made. */
export interface KeyWish {
  /** Default: the caller's. */
  readonly tenant: string | undefined;
  readonly role: Role;
  readonly description: string;
}

/** Lists keys, makes them and revokes them through the updater. Their hashes never leave the registry. */
export class ManageKeys {
  constructor(
    private readonly updater: AskUpdater,
    private readonly view: RegistryView,
  ) {}

  /** Keys of the tenants that the caller manages, revoked ones too. */
  list(caller: Caller): registryV1.ApiKey[] {
    return this.view
      .list('key/')
      .flatMap(({ value }) => (value.case === 'apiKey' ? [value.value] : []))
      .filter(({ tenant }) => managesTenant(caller, tenant));
  }

  /** The secret is in this answer and nowhere else. */
  async create(
    wish: KeyWish,
    scope: RequestScope,
  ): Promise<{ readonly key: registryV1.ApiKey; readonly secret: string }> {
    const tenant = wish.tenant ?? scope.caller.tenant;
    if (!managesTenant(scope.caller, tenant)) throw notYours(`The tenant ${tenant}`, scope.caller);
    const request = { tenant, role: ROLES[wish.role], description: wish.description };
    const answer = await this.updater.run(scope, ({ registry }, call) => registry.createKey(request, call));
    const key = await this.seen(answer.key, scope);
    return { key, secret: answer.secret };
  }

  /** @throws RESOURCE_NOT_FOUND, also for keys of other tenants */
  async revoke(id: string, scope: RequestScope): Promise<registryV1.ApiKey> {
    const known = this.view.apiKey(id);
    if (!known || !managesTenant(scope.caller, known.tenant))
      throw new ThalamusError('RESOURCE_NOT_FOUND', `No key ${id} exists; GET /admin/v1/keys lists them.`);
    const answer = await this.updater.run(scope, ({ registry }, call) => registry.revokeKey({ id }, call));
    return this.seen(answer.key, scope);
  }

  private async seen(
    resource: registryV1.Resource | undefined,
    scope: RequestScope,
  ): Promise<registryV1.ApiKey> {
    if (resource?.value.case !== 'apiKey')
      throw new ThalamusError('UPSTREAM_ERROR', 'The updater answered without the key.');
    await awaitRevision(this.view, resource.revision, scope);
    return resource.value.value;
  }
}
