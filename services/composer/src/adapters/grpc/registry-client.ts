import type { MessageInitShape } from '@bufbuild/protobuf';
import { registryV1, RPC_METADATA } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { createLeaderClient, type RpcClient } from '@thalamus/grpc';
import type { Registry } from '../../application/registry.port.js';

const METADATA = { [RPC_METADATA.actor]: 'composer' };
const DEADLINE_MS = 15_000;
/** How long a write waits while a writer is elected, milliseconds: the work behind it took minutes. */
const ELECTION_MS = 30_000;
const PAUSE_MS = 250;

type Case = NonNullable<registryV1.Resource['value']['case']>;
type ValueOf<K extends Case> =
  Extract<registryV1.Resource['value'], { case: K }> extends { value: infer V } ? V : never;

/** The registry of the updater, asked when needed: an idle composer follows no topic. */
export class RegistryClient implements Registry {
  private readonly client: RpcClient<typeof registryV1.RegistryService>;

  constructor(address: string) {
    this.client = createLeaderClient(registryV1.RegistryService, {
      address,
      defaultDeadlineMs: DEADLINE_MS,
    });
  }

  expert(name: string) {
    return this.get(`expert/${name}`, 'expert');
  }

  version(expert: string, version: string) {
    return this.get(`version/${expert}@${version}`, 'version');
  }

  versions(expert: string) {
    return this.list('version', `${expert}@`, 'version');
  }

  async dataset(reference: string) {
    if (reference.includes('@')) return this.get(`dataset/${reference}`, 'dataset');
    const versions = await this.list('dataset', `${reference}@`, 'dataset');
    return versions.sort((a, b) => Number(BigInt(a.version) - BigInt(b.version))).at(-1);
  }

  composition(recipeDigest: string) {
    return this.get(`composition/${recipeDigest}`, 'composition');
  }

  async registerVersion(
    request: MessageInitShape<typeof registryV1.RegisterVersionRequestSchema>,
    signal: AbortSignal,
  ): Promise<void> {
    await whileElecting(signal, () => this.client.registerVersion(request, { signal, metadata: METADATA }));
  }

  async registerComposition(
    composition: MessageInitShape<typeof registryV1.CompositionSchema>,
    signal: AbortSignal,
  ): Promise<void> {
    await whileElecting(signal, () =>
      this.client.registerComposition({ composition }, { signal, metadata: METADATA }),
    );
  }

  close(): void {
    this.client.close();
  }

  private async get<K extends Case>(key: string, kind: K): Promise<ValueOf<K> | undefined> {
    try {
      const { resource } = await this.client.getResource({ key });
      return resource?.value.case === kind ? (resource.value.value as ValueOf<K>) : undefined;
    } catch (fault) {
      if (toThalamusError(fault).code === 'RESOURCE_NOT_FOUND') return undefined;
      throw fault;
    }
  }

  private async list<K extends Case>(kind: string, namePrefix: string, wanted: K): Promise<ValueOf<K>[]> {
    const found: ValueOf<K>[] = [];
    let pageToken = '';
    do {
      const page = await this.client.listResources({ kind, namePrefix, pageToken });
      for (const { value } of page.resources)
        if (value.case === wanted) found.push(value.value as ValueOf<K>);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return found;
  }
}

/** Tries an idempotent write again while the registry has no writer. */
async function whileElecting<T>(signal: AbortSignal, write: () => Promise<T>): Promise<T> {
  for (const until = Date.now() + ELECTION_MS; ;) {
    try {
      return await write();
    } catch (fault) {
      const { code, spec } = toThalamusError(fault);
      if (!spec.retryable || code === 'REVISION_CONFLICT' || signal.aborted || Date.now() > until)
        throw fault;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
