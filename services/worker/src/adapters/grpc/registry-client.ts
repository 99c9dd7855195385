import type { Digest } from '@thalamus/bundle';
import { registryV1, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createLeaderClient, type RpcClient } from '@thalamus/grpc';
import type { Registry } from '../../application/registry.port.js';

const DEADLINE_MS = 15_000;
const AS_WORKER = { metadata: { [RPC_METADATA.actor]: 'worker' } };
const CHANNELS = { candidate: registryV1.Channel.CANDIDATE, stable: registryV1.Channel.STABLE } as const;

/** thalamus.registry.v1 of the updater. */
export class RegistryClient implements Registry {
  private readonly updater: RpcClient<typeof registryV1.RegistryService>;

  constructor(address: string) {
    this.updater = createLeaderClient(registryV1.RegistryService, {
      address,
      defaultDeadlineMs: DEADLINE_MS,
    });
  }

  async dataset(reference: string): Promise<registryV1.Dataset> {
    const value = await this.resource(`dataset/${reference}`);
    if (value?.case === 'dataset') return value.value;
    throw new ThalamusError('RESOURCE_NOT_FOUND', `No data set ${reference} is registered any more.`);
  }

  async expert(name: string): Promise<registryV1.Expert | undefined> {
    const value = await this.resource(`expert/${name}`);
    return value?.case === 'expert' ? value.value : undefined;
  }

  async nextVersion(expert: string): Promise<string> {
    let largest = 0n;
    let pageToken = '';
    do {
      const request = { kind: 'version', namePrefix: `${expert}@`, pageToken };
      const page = await this.updater.listResources(request, AS_WORKER);
      for (const { value } of page.resources) {
        if (value.case === 'version' && BigInt(value.value.version) > largest)
          largest = BigInt(value.value.version);
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return String(largest + 1n);
  }

  async register(expert: string, version: string, digest: Digest): Promise<void> {
    const request = { version: { expert, version, manifestDigest: digest } };
    await this.updater.registerVersion(request, AS_WORKER);
  }

  async setChannel(
    expert: string,
    channel: 'candidate' | 'stable',
    version: string,
    reason: string,
  ): Promise<void> {
    const request = { expert, channel: CHANNELS[channel], version, reason };
    await this.updater.setChannel(request, AS_WORKER);
  }

  close(): void {
    this.updater.close();
  }

  private async resource(key: string): Promise<registryV1.Resource['value'] | undefined> {
    try {
      const { resource } = await this.updater.getResource({ key }, AS_WORKER);
      return resource?.value;
    } catch (fault) {
      if (ThalamusError.is(fault) && fault.code === 'RESOURCE_NOT_FOUND') return undefined;
      throw fault;
    }
  }
}
