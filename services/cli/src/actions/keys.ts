import { registryV1 } from '@thalamus/contracts';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { table } from '../output.js';
import { AS_CLI, withRegistry } from '../registry-client.js';

const ROLES = {
  viewer: registryV1.Role.VIEWER,
  operator: registryV1.Role.OPERATOR,
  admin: registryV1.Role.ADMIN,
};

/** Options of `keys create`. */
export interface CreateOptions extends CommonOptions {
  readonly tenant: string;
  readonly role: keyof typeof ROLES;
  readonly description: string;
}

/** Makes a key and prints its secret, once. */
export async function create(options: CreateOptions): Promise<void> {
  const { tenant, description } = options;
  const { key, secret } = await withRegistry(options, (registry) =>
    registry.createKey({ tenant, role: ROLES[options.role], description }, AS_CLI),
  );
  const id = key?.value.case === 'apiKey' ? key.value.value.id : '';
  outputOf(options).answer({ id, tenant, role: options.role, key: secret }, () => [
    secret,
    `Keep it: it is not shown again. Its id is ${id}.`,
  ]);
}

/** Prints the keys without their secrets. */
export async function list(options: CommonOptions): Promise<void> {
  const { resources } = await withRegistry(options, (registry) =>
    registry.listResources({ kind: 'key' }, AS_CLI),
  );
  const keys = resources.flatMap(({ value }) =>
    value.case === 'apiKey'
      ? [
          {
            id: value.value.id,
            tenant: value.value.tenant,
            role: registryV1.Role[value.value.role].toLowerCase(),
            description: value.value.description,
            revoked: value.value.revokedAt !== undefined,
          },
        ]
      : [],
  );
  outputOf(options).answer(keys, () =>
    table([
      ['id', 'tenant', 'role', 'state', 'description'],
      ...keys.map((key) => [
        key.id,
        key.tenant,
        key.role,
        key.revoked ? 'revoked' : 'valid',
        key.description,
      ]),
    ]),
  );
}

/** Revokes a key. @throws RESOURCE_NOT_FOUND */
export async function revoke(id: string, options: CommonOptions): Promise<void> {
  await withRegistry(options, (registry) => registry.revokeKey({ id }, AS_CLI));
  outputOf(options).answer({ id, revoked: true }, () => [`The key ${id} is revoked.`]);
}
