import type { ArtifactStore } from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { collectGarbageSoon } from '@thalamus/lifecycle';
import type { RegistryView } from '@thalamus/registry';
import { createLogger } from '@thalamus/telemetry';
import {
  ExpertOpener,
  type InferenceProcesses,
  type OpenOutcome,
  type OpenerOptions,
} from './expert-opener.js';
import type { ServedExpert } from './served-expert.js';

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
  /** Requests that it is answering now. */
  inFlight: number;
  /** Told when the last of them has ended. */
  onIdle: (() => void) | undefined;
}

/** What the library needs. */
export interface LibraryOptions extends OpenerOptions {
  /** Wait before a load that failed for now is tried again, milliseconds; doubles with each failure. Default 1,000. */
  readonly retryMs?: number;
}

const LONGEST_RETRY_MS = 30_000;

/**
 * Everything that is loaded here. It follows the registry: every channel's version of a local kind is loaded, what no
 * channel names any more is let go after its last request. A bundle that is broken fails alone; a load that failed for a
 * passing reason is tried again.
 */
export class ExpertLibrary {
  readonly name = 'expert library';
  private readonly slots = new Map<string, Slot>();
  private readonly listeners = new Set<(slot: Slot) => void>();
  private readonly opener: ExpertOpener;
  /** Versions that were unloaded, or loaded, by hand. */
  private readonly unwanted = new Set<string>();
  private readonly pinned = new Set<string>();
  private readonly leaving = new Set<Promise<void>>();
  private readonly failures = new Map<string, number>();
  private readonly retries = new Map<string, NodeJS.Timeout>();
  private work: Promise<void> = Promise.resolve();
  private scheduled = false;
  private stopFollowing: (() => void) | undefined;
  private readonly logger = createLogger('expert-library');

  constructor(
    private readonly view: RegistryView,
    store: ArtifactStore,
    processes: InferenceProcesses,
    private readonly options: LibraryOptions,
  ) {
    this.opener = new ExpertOpener(store, processes, options, () =>
      this.list().reduce((sum, slot) => sum + (slot.served?.ownBytes ?? 0), 0),
    );
  }

  async start(): Promise<void> {
    this.stopFollowing = this.view.onChange((key) => {
      if (key.startsWith('expert/') || key.startsWith('version/')) this.schedule();
    });
    this.schedule();
    await this.work;
  }

  async close(): Promise<void> {
    this.stopFollowing?.();
    for (const timer of this.retries.values()) clearTimeout(timer);
    await this.work;
    await Promise.all(this.leaving);
  }

  /** All slots, by name. */
  list(): Slot[] {
    return [...this.slots.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  /** Bytes accounted to what is loaded. */
  get residentBytes(): number {
    return this.list().reduce((sum, slot) => sum + (slot.served?.ownBytes ?? 0), this.opener.sharedBytes);
  }

  /** True for a version that is loaded, or is being loaded. */
  has(expert: string, version: string): boolean {
    return this.slots.has(`${expert}@${version}`);
  }

  onChange(listener: (slot: Slot) => void): void {
    this.listeners.add(listener);
  }

  /**
   * The version that is meant: the one named, or for an empty one the stable version of the registry, else the newest that is
   * loaded here. @throws EXPERT_NOT_FOUND
   */
  versionOf(expert: string, version: string): string {
    if (version !== '') return version;
    const stable = this.view.expert(expert)?.stable ?? '';
    const loaded = this.list().filter((slot) => slot.expert === expert);
    const newest = loaded.sort((a, b) => Number(BigInt(b.version) - BigInt(a.version)))[0]?.version;
    const chosen = stable === '' ? newest : stable;
    if (chosen !== undefined) return chosen;
    throw new ThalamusError(
      'EXPERT_NOT_FOUND',
      `No expert ${expert.slice(0, 64)} with a stable version is known here; name a version.`,
    );
  }

  /** Versions that a channel of the registry names. @throws EXPERT_NOT_FOUND */
  channelVersions(expert: string): string[] {
    const { stable = '', candidate = '', shadow = '' } = this.view.expert(expert) ?? {};
    const versions = new Set([stable, candidate, shadow].filter((version) => version !== ''));
    if (versions.size === 0)
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `No channel of ${expert.slice(0, 64)} names a version here.`,
      );
    return [...versions];
  }

  /** The slot of a version. @throws EXPERT_NOT_FOUND, EXPERT_NOT_READY */
  slot(expert: string, version: string): Slot {
    const slot = this.slots.get(`${expert}@${version}`);
    if (slot) return slot;
    this.requireKnown(expert, version);
    throw new ThalamusError('EXPERT_NOT_READY', `${expert}@${version} is registered but not loaded here.`, {
      retryAfterMs: 1_000,
    });
  }

  /** The expert of a version, ready. @throws what `slot` throws, and EXPERT_NOT_READY while it is loaded or has failed */
  ready(expert: string, version: string): ServedExpert {
    const slot = this.slot(expert, version);
    if (slot.served) return slot.served;
    throw slot.state === 'failed'
      ? new ThalamusError(
          'EXPERT_NOT_READY',
          `${expert}@${version} could not be loaded: ${slot.error?.message ?? ''}`,
          { metadata: { cause: slot.error?.code ?? 'INTERNAL' } },
        )
      : new ThalamusError(
          'EXPERT_NOT_READY',
          `${expert}@${version} is being loaded; try again in a moment.`,
          { retryAfterMs: 500 },
        );
  }

  /** Lets a request use a version, which is not unloaded before the request has ended; counts how it ended. */
  async use<R>(expert: string, version: string, work: (served: ServedExpert) => Promise<R>): Promise<R> {
    const slot = this.slot(expert, version);
    const startedAt = performance.now();
    slot.inFlight += 1;
    try {
      const result = await work(this.ready(expert, version));
      slot.served?.meter.answered(performance.now() - startedAt);
      return result;
    } catch (fault) {
      slot.served?.meter.failed(performance.now() - startedAt);
      throw fault;
    } finally {
      slot.inFlight -= 1;
      if (slot.inFlight === 0) slot.onIdle?.();
    }
  }

  /** Loads a registered version, also one that no channel names, or one that failed; resolves when it is ready. */
  async load(expert: string, version: string): Promise<void> {
    this.requireKnown(expert, version);
    const key = `${expert}@${version}`;
    this.unwanted.delete(key);
    this.pinned.add(key);
    if (this.slots.get(key)?.state === 'failed') this.slots.delete(key);
    this.schedule();
    await this.work;
    this.ready(expert, version);
  }

  /** Lets a version go until it is loaded by hand again; resolves after its last request. */
  async unload(expert: string, version: string): Promise<void> {
    this.requireKnown(expert, version);
    const key = `${expert}@${version}`;
    this.unwanted.add(key);
    this.pinned.delete(key);
    this.schedule();
    await this.work;
    await Promise.all(this.leaving);
  }

  /** @throws EXPERT_NOT_FOUND for a version that the registry does not name */
  requireKnown(expert: string, version: string): void {
    if (!this.view.version(expert, version))
      throw new ThalamusError('EXPERT_NOT_FOUND', `No expert ${expert}@${version} is known here.`);
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.work = this.work.then(async () => {
      this.scheduled = false;
      await this.reconcile().catch((error: unknown) => {
        this.logger.error({ error }, 'experts could not be brought in line with the registry');
      });
    });
  }

  private async reconcile(): Promise<void> {
    const wanted = this.wanted();
    for (const slot of this.list()) if (!wanted.has(keyOf(slot))) this.remove(slot);
    const missing = [...wanted].filter(([key]) => !this.slots.has(key)).map(([, version]) => version);
    for (const { expert, version } of missing) this.put(newSlot(expert, version));
    for (const outcome of await this.opener.open(missing)) this.settle(outcome);
  }

  private wanted(): Map<string, registryV1.ExpertVersion> {
    const keys = new Set(this.pinned);
    for (const { name, stable, candidate, shadow } of this.view.experts())
      for (const number of [stable, candidate, shadow]) if (number !== '') keys.add(`${name}@${number}`);
    const wanted = new Map<string, registryV1.ExpertVersion>();
    for (const key of keys) {
      const [expert = '', number = ''] = key.split('@');
      const version = this.view.version(expert, number);
      if (version && version.kind !== registryV1.ExpertKind.UPSTREAM && !this.unwanted.has(key))
        wanted.set(key, version);
    }
    return wanted;
  }

  private settle({ version, served }: OpenOutcome): void {
    const key = `${version.expert}@${version.version}`;
    const slot = this.slots.get(key);
    if (!slot) return;
    if (ThalamusError.is(served)) {
      slot.error = served;
      slot.state = 'failed';
      const facts = { expert: slot.expert, version: slot.version, code: served.code, reason: served.message };
      this.logger.error({ ...facts, error: served.cause }, 'expert could not be loaded');
      if (served.spec.retryable) this.retryLater(key);
    } else {
      slot.served = served;
      slot.state = 'ready';
      collectGarbageSoon();
      this.failures.delete(key);
    }
    this.tell(slot);
  }

  private retryLater(key: string): void {
    const failures = this.failures.get(key) ?? 0;
    this.failures.set(key, failures + 1);
    const pauseMs = Math.min(LONGEST_RETRY_MS, (this.options.retryMs ?? 1_000) * 2 ** failures);
    const retry = () => {
      this.retries.delete(key);
      if (this.slots.get(key)?.state !== 'failed') return;
      this.slots.delete(key);
      this.schedule();
    };
    clearTimeout(this.retries.get(key));
    this.retries.set(key, setTimeout(retry, pauseMs).unref());
  }

  private remove(slot: Slot): void {
    slot.state = 'draining';
    this.tell(slot);
    this.slots.delete(keyOf(slot));
    const left = this.release(slot).finally(() => this.leaving.delete(left));
    this.leaving.add(left);
  }

  private async release(slot: Slot): Promise<void> {
    if (slot.inFlight > 0)
      await new Promise<void>((resolve) => {
        slot.onIdle = resolve;
      });
    try {
      await slot.served?.release();
    } catch (fault) {
      const { code, message } = toThalamusError(fault);
      const facts = { expert: slot.expert, version: slot.version, code, reason: message };
      this.logger.warn({ ...facts, error: fault }, 'expert did not end cleanly');
    }
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

function newSlot(expert: string, version: string): Slot {
  return {
    expert,
    version,
    state: 'loading',
    served: undefined,
    error: undefined,
    inFlight: 0,
    onIdle: undefined,
  };
}
