import type { MessageInitShape } from '@bufbuild/protobuf';
import type { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import type { RegistryView } from '@thalamus/registry';
import type { ManageKeys } from '../../application/manage-keys.js';
import type { RegisterVersion } from '../../application/register-version.js';
import type { RegistryWriter } from '../../application/registry-writer.js';
import type { RouterModelRegistry } from '../../application/router/router-model-registry.js';
import type { RenewExpert } from '../../application/renew-expert.js';
import type { SetChannel } from '../../application/set-channel.js';
import type { StoreResources } from '../../application/store-resources.js';
import { actorOf } from './actor.js';

const KINDS = ['expert', 'version', 'router-model', 'policy', 'key', 'dataset', 'composition', 'release'];

/** What the registry service calls. */
export interface RegistryUseCases {
  readonly view: RegistryView;
  readonly writer: RegistryWriter;
  readonly register: RegisterVersion;
  readonly routerModels: RouterModelRegistry;
  readonly channels: SetChannel;
  readonly resources: StoreResources;
  readonly keys: ManageKeys;
  readonly renewals: RenewExpert;
}

/** thalamus.registry.v1: decodes, calls one use case, encodes. */
export class RegistryGrpcService implements ServiceImplementation<typeof registryV1.RegistryService> {
  constructor(private readonly uses: RegistryUseCases) {}

  async registerVersion(request: registryV1.RegisterVersionRequest, context: CallContext) {
    return this.uses.register.expert(request, actorOf(context, 'registry.RegisterVersion'));
  }

  async setChannel(request: registryV1.SetChannelRequest, context: CallContext) {
    const actor = { ...actorOf(context, 'registry.SetChannel'), reason: request.reason };
    return { expert: await this.uses.channels.run(request, actor) };
  }

  async removeExpert(request: registryV1.RemoveExpertRequest, context: CallContext) {
    return {
      revision: await this.uses.resources.removeExpert(request, actorOf(context, 'registry.RemoveExpert')),
    };
  }

  async renewExpert({ expert }: registryV1.RenewExpertRequest, context: CallContext) {
    return { ...(await this.uses.renewals.run(expert, actorOf(context, 'registry.RenewExpert'))) };
  }

  async registerRouterModel(request: registryV1.RegisterRouterModelRequest, context: CallContext) {
    return {
      routerModel: await this.uses.routerModels.register(
        request,
        actorOf(context, 'registry.RegisterRouterModel'),
      ),
    };
  }

  async rollBackRouterModel(request: registryV1.RollBackRouterModelRequest, context: CallContext) {
    return {
      routerModel: await this.uses.routerModels.rollBack(
        request,
        actorOf(context, 'registry.RollBackRouterModel'),
      ),
    };
  }

  async registerDataset(request: registryV1.RegisterDatasetRequest, context: CallContext) {
    return {
      dataset: await this.uses.resources.registerDataset(
        request,
        actorOf(context, 'registry.RegisterDataset'),
      ),
    };
  }

  async registerComposition(request: registryV1.RegisterCompositionRequest, context: CallContext) {
    return {
      composition: await this.uses.resources.registerComposition(
        request,
        actorOf(context, 'registry.RegisterComposition'),
      ),
    };
  }

  async putPolicy(request: registryV1.PutPolicyRequest, context: CallContext) {
    return { policy: await this.uses.resources.putPolicy(request, actorOf(context, 'registry.PutPolicy')) };
  }

  async createKey(request: registryV1.CreateKeyRequest, context: CallContext) {
    return this.uses.keys.create(request, actorOf(context, 'registry.CreateKey'));
  }

  async revokeKey(request: registryV1.RevokeKeyRequest, context: CallContext) {
    return { key: await this.uses.keys.revoke(request.id, actorOf(context, 'registry.RevokeKey')) };
  }

  async getResource(request: registryV1.GetResourceRequest, context: CallContext) {
    await this.uses.view.waitForRevision(request.minRevision, context.signal);
    const resource = this.uses.view.get(request.key);
    if (!resource) throw new ThalamusError('RESOURCE_NOT_FOUND', `The registry holds no ${request.key}.`);
    return { resource };
  }

  async listResources(request: registryV1.ListResourcesRequest, context: CallContext) {
    if (!KINDS.includes(request.kind)) {
      throw new ThalamusError(
        'REQUEST_INVALID',
        `kind "${request.kind}" is unknown; known are ${KINDS.join(', ')}.`,
        { violations: [{ field: 'kind', description: KINDS.join(', ') }] },
      );
    }
    await this.uses.view.waitForRevision(request.minRevision, context.signal);
    const all = this.uses.view
      .list(`${request.kind}/${request.namePrefix}`)
      .filter(({ key }) => key > request.pageToken);
    const resources = all.slice(0, request.pageSize || 1_000);
    const nextPageToken = resources.length < all.length ? (resources.at(-1)?.key ?? '') : '';
    return { resources, nextPageToken, revision: this.uses.view.revision };
  }

  async *watch(
    request: registryV1.WatchRequest,
    context: CallContext,
  ): AsyncIterable<MessageInitShape<typeof registryV1.WatchResponseSchema>> {
    const { view } = this.uses;
    const changed = new Map<string, registryV1.Resource | undefined>();
    let wake: () => void = () => undefined;
    const stop = view.onChange((key, resource) => {
      // A slow watcher sees the last state of a key, not every step: what waits is bounded by the number of keys.
      if (key.startsWith(request.keyPrefix)) changed.set(key, resource);
      wake();
    });
    // A watch has no end of its own: it ends with its caller, or when this replica drains.
    const over = AbortSignal.any([context.signal, context.draining]);
    over.addEventListener('abort', () => {
      wake();
    });
    try {
      const revision = view.revision;
      for (const resource of view.list(request.keyPrefix))
        yield { event: { case: 'changed', value: resource } };
      yield { event: { case: 'caughtUpRevision', value: revision } };
      while (!isAborted(over)) {
        for (const [key, resource] of [...changed]) {
          changed.delete(key);
          yield resource
            ? { event: { case: 'changed', value: resource } }
            : { event: { case: 'removedKey', value: key } };
        }
        if (changed.size === 0 && !isAborted(over)) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      stop();
    }
  }

  async getStatus() {
    const { view, writer } = this.uses;
    return Promise.resolve({
      revision: view.revision,
      caughtUp: view.readiness().ready,
      leaderAddress: writer.leaderAddress,
      isLeader: writer.isLeader,
      resourceCount: BigInt(view.size),
    });
  }
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
