import { encodeManifest, type ExpertManifest } from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { RequestScope } from '../../domain/caller.js';
import { managesExpert, notYours, runsMesh } from '../../domain/tenancy.js';
import type { AskUpdater } from './ask-updater.js';
import { awaitRevision } from './await-revision.js';

/** A version of a remote expert that is to be. */
export interface RemoteExpert {
  readonly name: string;
  readonly description: string;
  /** Default: the next one. */
  readonly version: string | undefined;
  readonly upstream: NonNullable<ExpertManifest['upstream']>;
  readonly maxTokens: number;
  readonly parameterCount: number;
  readonly flopsPerToken: number;
  readonly licence: string;
  readonly tenants: readonly string[];
  readonly expectedRevision: number | undefined;
}

/** Channels as people name them. */
export const CHANNELS = {
  stable: registryV1.Channel.STABLE,
  candidate: registryV1.Channel.CANDIDATE,
  shadow: registryV1.Channel.SHADOW,
} as const;

/** A change of channel. */
export interface ChannelChange {
  readonly channel: keyof typeof CHANNELS;
  /** Empty clears candidate or shadow. */
  readonly version: string;
  readonly reason: string;
  readonly expectedRevision: number | undefined;
}

/** An expert after a change of it. */
export interface ChangedExpert {
  readonly expert: string;
  readonly version: string;
  readonly revision: bigint;
}

/** Refuses addresses that upstreams must not have. */
export type CheckAddress = (url: URL) => void;

/** Registers, moves and removes experts through the updater. */
export class ManageExperts {
  constructor(
    private readonly updater: AskUpdater,
    private readonly view: RegistryView,
    private readonly checkAddress: CheckAddress,
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** Writes the manifest of a remote expert and registers it. @throws PERMISSION_DENIED, REVISION_CONFLICT, REQUEST_INVALID */
  async register(wish: RemoteExpert, scope: RequestScope): Promise<ChangedExpert & { stable: string }> {
    this.checkAddress(new URL(wish.upstream.baseUrl));
    const known = this.view.expert(wish.name);
    if (known && !managesExpert(scope.caller, known.tenants)) throw notYours(wish.name, scope.caller);
    const tenants = this.tenantsOf(wish, scope);
    const version = wish.version ?? this.nextVersion(wish.name);
    const bytes = encodeManifest(this.manifest(wish, version));
    const answer = await this.updater.run(scope, async ({ registry, artifacts }, call) => {
      const { digest } = await artifacts.put(bytes, { signal: call.signal });
      const claim = { expert: wish.name, version, manifestDigest: digest };
      const request = { version: claim, description: wish.description, tenants, ...expected(wish) };
      return registry.registerVersion(request, call);
    });
    const revision = greater(answer.expert?.revision, answer.version?.revision);
    await awaitRevision(this.view, revision, scope);
    const value = answer.expert?.value;
    const stable = value?.case === 'expert' ? value.value.stable : '';
    return { expert: wish.name, version, stable, revision: answer.expert?.revision ?? revision };
  }

  /** Points a channel at a version. A new stable version is a promotion, which needs a reason. */
  async setChannel(name: string, change: ChannelChange, scope: RequestScope): Promise<ChangedExpert> {
    this.requireManaged(name, scope);
    const { version, reason } = change;
    const request = { expert: name, version, reason, ...expected(change) };
    const revision = await this.updater.run(scope, async ({ registry, release }, call) => {
      if (change.channel === 'stable') return (await release.promote(request, call)).revision;
      const answer = await registry.setChannel({ ...request, channel: CHANNELS[change.channel] }, call);
      return answer.expert?.revision ?? 0n;
    });
    await awaitRevision(this.view, revision, scope);
    return { expert: name, version, revision };
  }

  async remove(name: string, expectedRevision: number | undefined, scope: RequestScope): Promise<bigint> {
    this.requireManaged(name, scope);
    const request = { expert: name, ...expected({ expectedRevision }) };
    const { revision } = await this.updater.run(scope, ({ registry }, call) =>
      registry.removeExpert(request, call),
    );
    await awaitRevision(this.view, revision, scope);
    return revision;
  }

  /** What a caller may not use is not there for it. */
  private requireManaged(name: string, { caller }: RequestScope): void {
    const expert = this.view.expert(name);
    const visible = expert && (runsMesh(caller) || isOpen(expert.tenants, caller.tenant));
    if (!visible)
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `No expert "${name}" exists; GET /admin/v1/experts lists them.`,
      );
    if (!managesExpert(caller, expert.tenants)) throw notYours(name, caller);
  }

  private tenantsOf({ tenants }: RemoteExpert, { caller }: RequestScope): string[] {
    if (runsMesh(caller)) return [...tenants];
    if (tenants.some((tenant) => tenant !== caller.tenant))
      throw notYours('An expert of other tenants', caller);
    return [caller.tenant];
  }

  private nextVersion(name: string): string {
    const versions = this.view.versions(name).map(({ version }) => BigInt(version));
    return String(versions.reduce((highest, version) => (version > highest ? version : highest), 0n) + 1n);
  }

  private manifest(wish: RemoteExpert, version: string): ExpertManifest {
    const { name, description, upstream, maxTokens, parameterCount, flopsPerToken, licence } = wish;
    return {
      schemaVersion: 1,
      kind: 'upstream',
      task: 'text-generation',
      ...{ name, version, description, upstream, maxTokens, parameterCount, flopsPerToken, licence },
      // Nobody outside knows; a field that every manifest has.
      precision: 'float16',
      trainingData: [],
      evaluation: [],
      trust: { signed: false, scanned: false, backdoorTested: false },
      releaseDate: this.now().toISOString().slice(0, 10),
      files: [],
    };
  }
}

/** The revision that a change expects, as a message has it; nothing when any will do. */
export function expected({ expectedRevision }: { readonly expectedRevision: number | undefined }) {
  return expectedRevision === undefined ? {} : { expectedRevision: BigInt(expectedRevision) };
}

function greater(a = 0n, b = 0n): bigint {
  return a > b ? a : b;
}

function isOpen(tenants: readonly string[], tenant: string): boolean {
  return tenants.length === 0 || tenants.includes(tenant);
}
