import {
  materialiseBundle,
  openBundle,
  parseDigest,
  type ArtifactStore,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { InferenceRuntime } from '@thalamus/inference';
import type { RegistryView } from '@thalamus/registry';
import { createLogger } from '@thalamus/telemetry';
import { RawGraphExpert } from './graph-experts.js';
import { ResidentBase, type BatchSettings } from './resident-base.js';
import type { ServedExpert } from './served-expert.js';
import { EmbeddingExpert, headIdOf, ProbeExpert } from './text-experts.js';
import { TwinExpert } from './twin-expert.js';

/** Where a version stands on this host. */
export type SlotState = 'loading' | 'ready' | 'draining' | 'failed';

/** A version and its state. */
export interface Slot {
  readonly expert: string;
  readonly version: string;
  state: SlotState;
  served: ServedExpert | undefined;
  /** Why loading failed. */
  error: ThalamusError | undefined;
  readonly counts: { success: number; failure: number; inferenceNs: bigint };
}

/** What the library needs. */
export interface LibraryOptions extends BatchSettings {
  readonly cacheFolder: string;
  readonly memoryLimitBytes: number;
}

/**
 * Everything that is loaded here. It follows the registry: every channel's version of a local kind is loaded, what no
 * channel names any more is let go. A bundle that is broken fails alone.
 */
export class ExpertLibrary {
  readonly name = 'expert library';
  private readonly slots = new Map<string, Slot>();
  private readonly bases = new Map<string, Promise<ResidentBase>>();
  private readonly listeners = new Set<(slot: Slot) => void>();
  private readonly unwanted = new Set<string>();
  private work: Promise<void> = Promise.resolve();
  private scheduled = false;
  private stopFollowing: (() => void) | undefined;
  private readonly logger = createLogger('expert-library');

  constructor(
    private readonly view: RegistryView,
    private readonly store: ArtifactStore,
    private readonly runtime: InferenceRuntime,
    private readonly options: LibraryOptions,
  ) {}

  async start(): Promise<void> {
    this.stopFollowing = this.view.onChange((key) => {
      if (key.startsWith('expert/') || key.startsWith('version/')) this.schedule();
    });
    this.schedule();
    await this.work;
  }

  async close(): Promise<void> {
    this.stopFollowing?.();
    await this.work;
  }

  /** All slots, by name. */
  list(): Slot[] {
    return [...this.slots.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  /** Bytes accounted to what is loaded. */
  get residentBytes(): number {
    return this.list().reduce((sum, slot) => sum + (slot.served?.memoryBytes ?? 0), 0);
  }

  onChange(listener: (slot: Slot) => void): void {
    this.listeners.add(listener);
  }

  /** The slot of a version. @throws EXPERT_NOT_FOUND, REQUEST_INVALID for an empty version */
  slot(expert: string, version: string): Slot {
    if (version === '')
      throw new ThalamusError(
        'REQUEST_INVALID',
        'model_version is empty: a host serves immutable versions only; ask the gateway, or name one.',
        { violations: [{ field: 'model_version', description: 'must not be empty' }] },
      );
    const slot = this.slots.get(`${expert}@${version}`);
    if (slot) return slot;
    const known = this.view.version(expert, version);
    if (known)
      throw new ThalamusError('EXPERT_NOT_READY', `${expert}@${version} is registered but not loaded here.`, {
        retryAfterMs: 1_000,
      });
    throw new ThalamusError('EXPERT_NOT_FOUND', `No expert ${expert}@${version} is known here.`);
  }

  /** The expert of a version, ready. @throws EXPERT_NOT_READY as well */
  ready(expert: string, version: string): ServedExpert {
    const slot = this.slot(expert, version);
    if (slot.state === 'failed')
      throw new ThalamusError(
        'EXPERT_NOT_READY',
        `${expert}@${version} could not be loaded: ${slot.error?.message ?? ''}`,
      );
    if (!slot.served)
      throw new ThalamusError(
        'EXPERT_NOT_READY',
        `${expert}@${version} is being loaded; try again in a moment.`,
        { retryAfterMs: 500 },
      );
    return slot.served;
  }

  /** Loads a version that was unloaded by hand; resolves when it is ready or has failed. */
  async load(expert: string, version: string): Promise<void> {
    this.unwanted.delete(`${expert}@${version}`);
    this.schedule();
    await this.work;
    this.ready(expert, version);
  }

  /** Lets a version go until it is loaded by hand again. */
  async unload(expert: string, version: string): Promise<void> {
    this.slot(expert, version);
    this.unwanted.add(`${expert}@${version}`);
    this.schedule();
    await this.work;
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.work = this.work.then(async () => {
      this.scheduled = false;
      await this.reconcile();
    });
  }

  private async reconcile(): Promise<void> {
    const wanted = this.wanted();
    for (const slot of this.list()) if (!wanted.has(keyOf(slot))) await this.remove(slot);
    const missing = [...wanted].filter(([key]) => !this.slots.has(key)).map(([, version]) => version);
    for (const version of missing) {
      this.put({
        expert: version.expert,
        version: version.version,
        state: 'loading',
        served: undefined,
        error: undefined,
        counts: { success: 0, failure: 0, inferenceNs: 0n },
      });
    }
    // Bases first, then all heads of one base at once: one new stack for all of them.
    const standing = missing.filter(({ kind }) => kind !== registryV1.ExpertKind.PROBE);
    for (const version of standing) await this.fill(version, () => this.openStanding(version));
    const byBase = Map.groupBy(
      missing.filter(({ kind }) => kind === registryV1.ExpertKind.PROBE),
      ({ baseDigest }) => baseDigest,
    );
    for (const versions of byBase.values()) await this.openProbes(versions);
  }

  private wanted(): Map<string, registryV1.ExpertVersion> {
    const wanted = new Map<string, registryV1.ExpertVersion>();
    for (const expert of this.view.experts()) {
      for (const number of [expert.stable, expert.candidate, expert.shadow]) {
        const version = number === '' ? undefined : this.view.version(expert.name, number);
        const key = `${expert.name}@${number}`;
        if (version && version.kind !== registryV1.ExpertKind.UPSTREAM && !this.unwanted.has(key))
          wanted.set(key, version);
      }
    }
    return wanted;
  }

  private async fill(version: registryV1.ExpertVersion, open: () => Promise<ServedExpert>): Promise<void> {
    const slot = this.slots.get(`${version.expert}@${version.version}`);
    if (!slot) return;
    try {
      if (this.residentBytes + Number(version.sizeBytes) > this.options.memoryLimitBytes) {
        throw new ThalamusError(
          'EXPERT_OVERLOADED',
          `Loading ${keyOf(slot)} would pass the memory limit of ${this.options.memoryLimitBytes} bytes; raise THALAMUS_MEMORY_LIMIT or unload others.`,
        );
      }
      slot.served = await open();
      slot.state = 'ready';
    } catch (fault) {
      slot.error = toThalamusError(fault);
      slot.state = 'failed';
      this.logger.error(
        { expert: slot.expert, version: slot.version, code: slot.error.code, reason: slot.error.message },
        'expert could not be loaded',
      );
    }
    this.tell(slot);
  }

  private async openStanding(version: registryV1.ExpertVersion): Promise<ServedExpert> {
    const bundle = await this.fetch(version.manifestDigest);
    const { kind, task } = bundle.manifest;
    if (kind === 'twin') return TwinExpert.open(bundle, this.runtime, this.options.threads);
    if (kind === 'full' && task === 'feature-extraction' && bundle.has('tokenizer.json')) {
      const base = await this.base(version.manifestDigest);
      base.retain();
      return new EmbeddingExpert(bundle.manifest, base, () => this.letGo(version.manifestDigest, base));
    }
    if (kind === 'full') return RawGraphExpert.open(bundle, this.runtime, this.options.threads);
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${version.expert} is of the kind ${kind}, which this host does not serve.`,
    );
  }

  private async openProbes(versions: readonly registryV1.ExpertVersion[]): Promise<void> {
    const opened: {
      version: registryV1.ExpertVersion;
      bundle: OpenedBundle<ExpertManifest>;
      base: ResidentBase;
      head: Awaited<ReturnType<ResidentBase['readHead']>>;
    }[] = [];
    for (const version of versions) {
      try {
        const base = await this.base(version.baseDigest);
        const bundle = await this.fetch(version.manifestDigest);
        opened.push({ version, bundle, base, head: await base.readHead(bundle) });
      } catch (fault) {
        await this.fill(version, () => Promise.reject(toThalamusError(fault)));
      }
    }
    const base = opened[0]?.base;
    if (!base) return;
    await base.heads.change(new Map(opened.map(({ bundle, head }) => [headIdOf(bundle), head])), []);
    for (const { version, bundle } of opened) {
      base.retain();
      const release = async () => {
        await base.heads.change(new Map(), [headIdOf(bundle)]);
        await this.letGo(version.baseDigest, base);
      };
      await this.fill(version, () =>
        Promise.resolve(new ProbeExpert(bundle.manifest, headIdOf(bundle), base, release)),
      );
    }
  }

  private base(digest: string): Promise<ResidentBase> {
    let base = this.bases.get(digest);
    if (!base) {
      base = this.fetch(digest).then((bundle) => ResidentBase.open(bundle, this.runtime, this.options));
      this.bases.set(digest, base);
      base.catch(() => this.bases.delete(digest));
    }
    return base;
  }

  private async letGo(digest: string, base: ResidentBase): Promise<void> {
    if (await base.letGo()) this.bases.delete(digest);
  }

  private async fetch(digest: string): Promise<OpenedBundle<ExpertManifest>> {
    return openBundle(await materialiseBundle(parseDigest(digest), this.store, this.options.cacheFolder));
  }

  private async remove(slot: Slot): Promise<void> {
    slot.state = 'draining';
    this.tell(slot);
    this.slots.delete(keyOf(slot));
    await slot.served?.release().catch((error: unknown) => {
      this.logger.warn({ expert: slot.expert, version: slot.version, error }, 'expert did not end cleanly');
    });
  }

  private put(slot: Slot): void {
    this.slots.set(keyOf(slot), slot);
    this.tell(slot);
  }

  private tell(slot: Slot): void {
    for (const listener of this.listeners) listener(slot);
  }
}

/** expert@version */
export function keyOf(slot: { readonly expert: string; readonly version: string }): string {
  return `${slot.expert}@${slot.version}`;
}
