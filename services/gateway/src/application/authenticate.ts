import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { parseApiKey, secretMatches } from '@thalamus/security';
import { ANONYMOUS, type Caller } from '../domain/caller.js';

const ROLES = {
  [registryV1.Role.UNSPECIFIED]: 'viewer',
  [registryV1.Role.VIEWER]: 'viewer',
  [registryV1.Role.OPERATOR]: 'operator',
  [registryV1.Role.ADMIN]: 'admin',
} as const;

/** Finds the caller of a request by its API key. */
export class Authenticate {
  constructor(
    private readonly view: RegistryView,
    private readonly anonymous: 'off' | 'viewer',
  ) {}

  /** `authorization` is the header or metadata of that name. @throws KEY_INVALID */
  run(authorization: string | undefined): Caller {
    if (authorization === undefined || authorization === '') {
      if (this.anonymous === 'viewer') return { tenant: 'default', role: 'viewer', id: ANONYMOUS };
      throw new ThalamusError('KEY_INVALID', 'No API key was sent; send "Authorization: Bearer thk_...".');
    }
    const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1];
    const parsed = token === undefined ? undefined : parseApiKey(token);
    const key = parsed === undefined ? undefined : this.view.apiKey(parsed.id);
    const valid = parsed !== undefined && secretMatches(parsed.secret, key?.secretSha256 ?? '0'.repeat(64));
    if (!key || !valid)
      throw new ThalamusError('KEY_INVALID', 'The API key is not valid; "thalamus keys create" makes one.');
    if (key.revokedAt)
      throw new ThalamusError('KEY_INVALID', `The API key ${key.id} was revoked; use another one.`);
    return { tenant: key.tenant, role: ROLES[key.role], id: key.id };
  }
}
