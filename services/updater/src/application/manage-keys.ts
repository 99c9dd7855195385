import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { mintApiKey } from '@thalamus/security';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Actor, RegistryWriter } from './registry-writer.js';

/** Makes and revokes API keys. Only the hash of a secret is ever stored. */
export class ManageKeys {
  constructor(
    private readonly view: RegistryView,
    private readonly writer: RegistryWriter,
  ) {}

  async create(
    request: { readonly tenant: string; readonly role: registryV1.Role; readonly description: string },
    actor: Actor,
  ): Promise<{ key: registryV1.Resource; secret: string }> {
    if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(request.tenant)) {
      throw new ThalamusError(
        'REQUEST_INVALID',
        `tenant "${request.tenant}" must be lower-case letters, digits and hyphens.`,
        { violations: [{ field: 'tenant', description: 'lower-case letters, digits and hyphens' }] },
      );
    }
    if (request.role === registryV1.Role.UNSPECIFIED) {
      throw new ThalamusError('REQUEST_INVALID', 'role is missing; it is viewer, operator or admin.', {
        violations: [{ field: 'role', description: 'viewer, operator or admin' }],
      });
    }
    const minted = mintApiKey();
    const { tenant, role, description } = request;
    const value = keyValue(minted, { tenant, role, description });
    const [key] = await this.writer.write(actor, () => [
      { key: `key/${minted.id}`, value: { case: 'apiKey', value }, expectedRevision: 0n },
    ]);
    return { key: key as registryV1.Resource, secret: minted.key };
  }

  async revoke(id: string, actor: Actor): Promise<registryV1.Resource> {
    await this.writer.write(actor, () => {
      const key = this.view.apiKey(id);
      if (!key)
        throw new ThalamusError(
          'RESOURCE_NOT_FOUND',
          `No key ${id} exists; "thalamus keys list" shows them.`,
        );
      if (key.revokedAt) return [];
      return [
        {
          key: `key/${id}`,
          value: { case: 'apiKey', value: { ...key, revokedAt: timestampFromMs(Date.now()) } },
        },
      ];
    });
    return this.view.get(`key/${id}`) as registryV1.Resource;
  }

  /**
   * While the registry holds no key: makes an administrator's and writes it to a file that only its owner can read. The
   * file is written first, so that no key exists that nobody knows.
   */
  async bootstrap(file: string): Promise<void> {
    if (this.view.list('key/').length > 0) return;
    const minted = mintApiKey();
    await mkdir(dirname(file), { recursive: true });
    await rm(file, { force: true });
    await writeFile(file, `${minted.key}\n`, { mode: 0o600, flag: 'wx' });
    const role = registryV1.Role.ADMIN;
    const value = keyValue(minted, { tenant: 'default', role, description: 'first administrator' });
    const actor = {
      id: 'updater',
      tenant: 'default',
      action: 'bootstrap',
      reason: 'the registry held no key',
    };
    const key = `key/${minted.id}`;
    await this.writer.write(actor, () => [{ key, value: { case: 'apiKey', value }, expectedRevision: 0n }]);
  }
}

function keyValue(
  minted: ReturnType<typeof mintApiKey>,
  facts: { readonly tenant: string; readonly role: registryV1.Role; readonly description: string },
): registryV1.ApiKey {
  return create(registryV1.ApiKeySchema, {
    ...facts,
    id: minted.id,
    secretSha256: minted.secretSha256,
    createdAt: timestampFromMs(Date.now()),
  });
}
