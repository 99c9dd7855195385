import type { ArtifactStore } from '@thalamus/bundle';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { SubmitOptions } from '@thalamus/inference';
import { collectGarbageSoon } from '@thalamus/lifecycle';
import type { RegistryView } from '@thalamus/registry';
import { counter, createLogger, histogram } from '@thalamus/telemetry';
import { ExpertOpener, type InferenceProcesses, type OpenerOptions } from './expert-opener.js';
import { LoadQueue } from './load-queue.js';
import { letGoOn, LoadWaiting, refuseWaiters } from './load-waiting.js';
import { LoadRetries } from './load-retries.js';
import { NO_ROOM_RETRY_MS, ResidencyBudget } from './residency-budget.js';
import { ResidencyWishes, type ResidencyWish } from './residency-wishes.js';
import type { ServedExpert } from './served-expert.js';
import { keyOf, newSlot, type ServedDescription, type Slot } from './slot.js';
import { WantedVersions } from './wanted-versions.js';
import { WarmVersions } from './warm-versions.js';

/** What the library needs. */
export interface LibraryOptions extends OpenerOptions {
  readonly memoryLimitBytes: number;
  /** Requests that may wait for experts to be loaded. */
  readonly maxLoadQueue: number;
  /** Names of experts, or name@version, that are never let go to make room. */
  readonly pinnedExperts: readonly string[];
  /** By name of an expert; lower ones are let go first. */
  readonly expertPriorities: ReadonlyMap<string, number>;
  /** Wait before a load that failed for now is tried again, milliseconds; doubles with each failure. Default 1,000. */
  readonly retryMs?: number;
}

/**
 * Everything that is served here. It follows the registry: every channel's version of a local kind is registered, and loaded as
 * long as there is room; the others are loaded when they are asked for, at the cost of those that were not for longest. What no
 * channel names any more is let go after its last request. A bundle that is broken fails alone; a load that failed for a passing
 * reason is tried again.
 */
export class ExpertLibrary {
  readonly name = 'expert library';
  private readonly slots = new Map<string, Slot>();
  /** What is in memory, what has left the slots and is not yet gone among it. */
  private readonly loaded = new Set<Slot>();
  private readonly listeners = new Set<(slot: Slot) => void>();
  private readonly leaving = new Map<Slot, Promise<void>>();
  private readonly opener: ExpertOpener;
  private readonly wishes: ResidencyWishes;
  private readonly warm: WarmVersions;
  private readonly wanted: WantedVersions;
  private readonly budget: ResidencyBudget;
  private readonly waiting: LoadWaiting;
  private readonly queue: LoadQueue;
  private readonly retries: LoadRetries;
  private stopFollowing: (() => void) | undefined;
  private scheduled: Promise<void> | undefined;
  private lingering: NodeJS.Timeout | undefined;
  private isClosing = false;
  private readonly evictions = counter(METRICS.evictions);
  private readonly misses = counter(METRICS.residencyMisses);
  private readonly loads = histogram(METRICS.loadDuration);
  private readonly logger = createLogger('expert-library');

  constructor(
    private readonly view: RegistryView,
    store: ArtifactStore,
    processes: InferenceProcesses,
    options: LibraryOptions,
  ) {
    this.opener = new ExpertOpener(store, processes, options);
    this.wishes = new ResidencyWishes(options.pinnedExperts, options.expertPriorities);
    this.warm = new WarmVersions((expert, version) => this.isReady(expert, version));
    this.wanted = new WantedVersions(view, this.warm);
    this.budget = new ResidencyBudget(options.memoryLimitBytes, this.opener, this.wishes, {
      loaded: () => this.loaded,
      evict: (key) => this.evict(key),
      settled: async () => {
        const isLeaving = this.leaving.size > 0;
        await Promise.all(this.leaving.values());
        return (await this.opener.letHeldGo()) || isLeaving;
      },
    });
    this.waiting = new LoadWaiting(options.maxLoadQueue);
    this.queue = new LoadQueue(
      (slot, mayEvict) => this.loadNow(slot, mayEvict),
      (slot) => this.rank(slot),
      async () => {
        await this.opener.letHeldGo();
      },
    );
    this.retries = new LoadRetries(options.retryMs ?? 1_000, (slot) => {
      if (this.slots.get(keyOf(slot)) === slot && slot.state === 'failed') this.startAnew(slot);
    });
    this.evictions.add(0);
    this.misses.add(0);
  }

  async start(): Promise<void> {
    this.stopFollowing = this.view.onChange((key) => {
      if (key.startsWith('expert/') || key.startsWith('version/')) this.schedule();
    });
    this.reconcile();
    await this.queue.idle();
  }

  async close(): Promise<void> {
    this.isClosing = true;
    this.stopFollowing?.();
    clearTimeout(this.lingering);
    this.retries.close();
    await this.scheduled;
    await this.queue.close();
    await Promise.all(this.leaving.values());
  }

  /** All slots, by name. */
  list(): Slot[] {
    return [...this.slots.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }

  /** Bytes accounted to what is loaded: those that experts have for themselves, and those of the bases that they share. */
  get residentBytes(): { readonly own: number; readonly shared: number } {
    return { own: this.budget.ownBytes, shared: this.opener.sharedBytes };
  }

  /** Requests that wait for experts to be loaded. */
  get waitingForLoads(): number {
    return this.waiting.count;
  }

  /** True for a version that is served here, loaded or not. */
  has(expert: string, version: string): boolean {
    return this.slots.has(`${expert}@${version}`);
  }

  isReady(expert: string, version: string): boolean {
    return this.slots.get(`${expert}@${version}`)?.state === 'ready';
  }

  onChange(listener: (slot: Slot) => void): void {
    this.listeners.add(listener);
  }

  /**
   * The version that is meant: the one named; for an empty one the stable version of the registry, or the one before while
   * that is loaded; else the newest that is here. @throws EXPERT_NOT_FOUND
   */
  versionOf(expert: string, version: string): string {
    if (version !== '') return version;
    const stable = this.view.expert(expert)?.stable ?? '';
    if (stable !== '') return this.warm.of(expert, stable);
    const known = this.list().filter((slot) => slot.expert === expert);
    const newest = known.sort((a, b) => Number(BigInt(b.version) - BigInt(a.version)))[0]?.version;
    if (newest !== undefined) return newest;
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

  /** What is said of a version, which is loaded when it never was. @throws what `use` throws before its work */
  async describe(expert: string, version: string, options: SubmitOptions): Promise<ServedDescription> {
    const slot = this.slot(expert, version);
    if (slot.description && slot.state !== 'failed') return slot.description;
    await this.acquire(slot, options);
    this.leave(slot);
    return slot.description as unknown as ServedDescription;
  }

  /**
   * Lets a request use a version, which is loaded first when it is not and not let go before the request has ended; counts
   * how it ended. @throws EXPERT_NOT_FOUND, EXPERT_NOT_READY, EXPERT_OVERLOADED, DEADLINE_EXCEEDED, CANCELLED, what the work throws
   */
  async use<R>(
    expert: string,
    version: string,
    options: SubmitOptions,
    work: (served: ServedExpert) => Promise<R>,
  ): Promise<R> {
    const slot = this.slot(expert, version);
    const startedAt = performance.now();
    const served = await this.acquire(slot, options);
    try {
      const result = await work(served);
      served.meter.answered(performance.now() - startedAt);
      return result;
    } catch (fault) {
      served.meter.failed(performance.now() - startedAt);
      throw fault;
    } finally {
      this.leave(slot);
    }
  }

  /** Loads a registered version, also one that no channel names, or one that failed; resolves when it is ready. */
  async load(expert: string, version: string, wish: ResidencyWish, options: SubmitOptions): Promise<void> {
    this.requireKnown(expert, version);
    const key = `${expert}@${version}`;
    this.wanted.want(key);
    this.wishes.set(key, wish);
    this.reconcile();
    const failed = this.slots.get(key);
    if (failed?.state === 'failed') this.startAnew(failed);
    const slot = this.slot(expert, version);
    slot.refusedUntil = 0;
    await this.acquire(slot, options, false);
    this.leave(slot);
  }

  /** Lets a version go until it is loaded by hand again; resolves after its last request. */
  async unload(expert: string, version: string): Promise<void> {
    this.requireKnown(expert, version);
    const key = `${expert}@${version}`;
    this.wanted.refuse(key);
    this.wishes.forget(key);
    this.reconcile();
    await Promise.all(this.leaving.values());
  }

  /** @throws EXPERT_NOT_FOUND for a version that the registry does not name */
  requireKnown(expert: string, version: string): void {
    if (!this.view.version(expert, version))
      throw new ThalamusError('EXPERT_NOT_FOUND', `No expert ${expert}@${version} is known here.`);
  }

  private slot(expert: string, version: string): Slot {
    const slot = this.slots.get(`${expert}@${version}`);
    if (slot) return slot;
    this.requireKnown(expert, version);
    throw new ThalamusError('EXPERT_NOT_READY', `${expert}@${version} is registered but not served here.`, {
      retryAfterMs: 1_000,
    });
  }

  /** The expert, ready and counted as in use; loaded first when it is not. */
  private async acquire(slot: Slot, options: SubmitOptions, isBound = true): Promise<ServedExpert> {
    if (slot.state === 'ready') slot.inFlight += 1;
    else {
      if (slot.state === 'failed') throw couldNotLoad(slot);
      if (slot.error && slot.refusedUntil > performance.now()) throw slot.error;
      this.misses.add(1);
      const loaded = this.waiting.until(slot, options, isBound);
      if (slot.state === 'registered') this.queue.ask(slot);
      await loaded;
    }
    slot.lastUsedAt = performance.now();
    // In flight, so it is not let go.
    return slot.served as ServedExpert;
  }

  private leave(slot: Slot): void {
    slot.inFlight -= 1;
    slot.lastUsedAt = performance.now();
    if (slot.inFlight === 0) slot.onIdle?.();
  }

  private schedule(): void {
    this.scheduled ??= Promise.resolve().then(() => {
      this.scheduled = undefined;
      if (!this.isClosing) this.reconcile();
    });
  }

  private reconcile(): void {
    const wanted = this.wanted.all();
    for (const slot of this.list()) if (!wanted.has(keyOf(slot))) this.remove(slot);
    for (const [key, version] of wanted) if (!this.slots.has(key)) this.put(newSlot(version));
    for (const slot of this.slots.values()) this.offer(slot);
    clearTimeout(this.lingering);
    const { nextMs } = this.warm;
    if (nextMs !== undefined) this.lingering = setTimeout(() => this.schedule(), nextMs + 1).unref();
  }

  /** Loads what nobody asked for, when there is room; what is pinned, or relieves a version that answers, in any case. */
  private offer(slot: Slot): void {
    if (slot.state !== 'registered' || slot.refusedUntil > performance.now()) return;
    const { expert, version, registered } = slot;
    const stable = this.view.expert(expert)?.stable ?? '';
    const relieves = version === stable && this.warm.of(expert, stable) !== version;
    const mayEvict = relieves || this.wishes.isPinned(expert, version);
    if (mayEvict || this.budget.hasRoomFor(Number(registered.sizeBytes))) this.queue.offer(slot, mayEvict);
  }

  /** Pinned ones first, then by priority, then what channels use most, then what stands alone. */
  private rank(slot: Slot): readonly (number | string)[] {
    const { expert, version, registered } = slot;
    return [
      this.wishes.isPinned(expert, version) ? 0 : 1,
      -this.wishes.priority(expert, version),
      this.view.expert(expert)?.stable === version ? 0 : 1,
      registered.baseDigest === '' ? 0 : 1,
      keyOf(slot),
    ];
  }

  private async loadNow(slot: Slot, mayEvict: boolean): Promise<void> {
    const isWaitedFor = mayEvict || slot.waiters.size > 0;
    if (!isWaitedFor && !this.budget.hasRoomFor(Number(slot.registered.sizeBytes))) return;
    slot.state = 'loading';
    slot.error = undefined;
    this.tell(slot);
    const startedAt = performance.now();
    let outcome = 'OK';
    try {
      // Asked for meanwhile, it may take the room of others.
      const makeRoom = (need: Parameters<ResidencyBudget['makeRoom']>[0]) =>
        this.budget.makeRoom(need, mayEvict || slot.waiters.size > 0);
      const served = await this.opener.open(slot.registered, makeRoom);
      slot.served = served;
      this.loaded.add(slot);
      if (slot.isLeaving) await this.release(slot);
      else this.isLoaded(slot, served);
    } catch (fault) {
      const error = toThalamusError(fault);
      outcome = error.code;
      this.hasFailed(slot, error);
    }
    this.loads.record((performance.now() - startedAt) / 1000, { [ATTRIBUTES.outcome]: outcome });
  }

  private isLoaded(slot: Slot, { manifest, inputs, outputs, parameters }: ServedExpert): void {
    slot.state = 'ready';
    slot.description = { manifest, inputs, outputs, parameters };
    slot.lastUsedAt = performance.now();
    letGoOn(slot);
    collectGarbageSoon();
    this.retries.succeeded(slot);
    this.tell(slot);
    const stable = this.view.expert(slot.expert)?.stable ?? '';
    if (stable !== '' && this.warm.kept(slot.expert, stable).length > 0) this.schedule();
  }

  private hasFailed(slot: Slot, error: ThalamusError): void {
    slot.error = error;
    const isFull = error.code === 'EXPERT_OVERLOADED';
    slot.state = isFull ? 'registered' : 'failed';
    if (isFull) slot.refusedUntil = performance.now() + (slot.waiters.size > 0 ? NO_ROOM_RETRY_MS : 0);
    refuseWaiters(slot, isFull ? error : couldNotLoad(slot));
    const facts = { expert: slot.expert, version: slot.version, code: error.code, reason: error.message };
    if (isFull) this.logger.info(facts, 'expert stays registered, for want of room');
    else this.logger.error({ ...facts, error: error.cause }, 'expert could not be loaded');
    if (!isFull && error.spec.retryable) this.retries.later(slot);
    this.tell(slot);
  }

  private startAnew(slot: Slot): void {
    this.slots.delete(keyOf(slot));
    this.put(newSlot(slot.registered));
    this.schedule();
  }

  private remove(slot: Slot): void {
    slot.isLeaving = true;
    this.slots.delete(keyOf(slot));
    const wasEvicted = this.leaving.get(slot);
    const left = wasEvicted ?? this.queue.leave(slot).then(() => this.release(slot));
    slot.state = 'draining';
    this.retries.forget(slot);
    this.tell(slot);
    refuseWaiters(
      slot,
      new ThalamusError('EXPERT_NOT_READY', `${keyOf(slot)} was unloaded while the request waited.`, {
        retryAfterMs: 500,
      }),
    );
    if (!wasEvicted) void this.leaves(slot, left);
  }

  private evict(key: string): Promise<void> {
    const slot = this.slots.get(key);
    if (slot?.state !== 'ready') return Promise.resolve();
    slot.state = 'draining';
    this.tell(slot);
    const evicted = this.release(slot).then(() => {
      this.evictions.add(1);
      this.logger.info({ expert: slot.expert, version: slot.version }, 'expert let go to make room');
      if (slot.isLeaving) return;
      slot.state = 'registered';
      this.tell(slot);
      if (slot.waiters.size > 0) this.queue.ask(slot);
    });
    return this.leaves(slot, evicted);
  }

  private leaves(slot: Slot, work: Promise<void>): Promise<void> {
    const left = work.finally(() => this.leaving.delete(slot));
    this.leaving.set(slot, left);
    return left;
  }

  /** Lets go of what a version holds, after its last request; its bytes count until then. */
  private async release(slot: Slot): Promise<void> {
    if (slot.inFlight > 0)
      await new Promise<void>((resolve) => {
        slot.onIdle = resolve;
      });
    slot.onIdle = undefined;
    try {
      await slot.served?.release();
    } catch (fault) {
      const { code, message } = toThalamusError(fault);
      const facts = { expert: slot.expert, version: slot.version, code, reason: message };
      this.logger.warn({ ...facts, error: fault }, 'expert did not end cleanly');
    }
    slot.served = undefined;
    this.loaded.delete(slot);
  }

  private put(slot: Slot): void {
    this.slots.set(keyOf(slot), slot);
    this.tell(slot);
  }

  private tell(slot: Slot): void {
    for (const listener of this.listeners) listener(slot);
  }
}

function couldNotLoad({ expert, version, error }: Slot): ThalamusError {
  return new ThalamusError(
    'EXPERT_NOT_READY',
    `${expert}@${version} could not be loaded: ${error?.message ?? ''}`,
    { metadata: { cause: error?.code ?? 'INTERNAL' } },
  );
}
