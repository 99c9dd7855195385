import type { ArtifactStore } from '@thalamus/bundle';
import { METRICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { SubmitOptions } from '@thalamus/inference';
import type { RegistryView } from '@thalamus/registry';
import { counter } from '@thalamus/telemetry';
import { Departures } from './departures.js';
import { ExpertOpener, type InferenceProcesses, type OpenerOptions } from './expert-opener.js';
import { LoadQueue } from './load-queue.js';
import { LoadWaiting } from './load-waiting.js';
import { LoadRetries } from './load-retries.js';
import { COUNT_WEIGHTS, ResidentCount } from './memory-count.js';
import { RegistryFollower } from './registry-follower.js';
import { ResidencyBudget } from './residency-budget.js';
import { ResidencyWishes, type ResidencyWish } from './residency-wishes.js';
import type { ServedExpert } from './served-expert.js';
import { couldNotLoad, SlotLoads } from './slot-loads.js';
import { keyOf, type ServedDescription, type Slot, type SlotStanding } from './slot.js';
import { Slots } from './slots.js';
import { UseClock } from './use-clock.js';
import { VersionNames } from './version-names.js';
import { WantedVersions } from './wanted-versions.js';
import { WarmVersions } from './warm-versions.js';

/** What the library needs. */
export interface LibraryOptions extends OpenerOptions {
  readonly memoryLimitBytes: number;
  /** What counts against that: what inference processes have, or the bytes of weights alone. */
  readonly memoryCounts: 'resident' | 'weights';
  /** Requests that may wait for experts to be loaded. */
  readonly maxLoadQueue: number;
  /** Names of experts, or name@version, that are never let go to make room. */
  readonly pinnedExperts: readonly string[];
  /** By name of an expert; lower ones are let go first. */
  readonly expertPriorities: ReadonlyMap<string, number>;
  /** Wait before a load that failed for now is tried again, milliseconds; doubles with each failure. Default 1,000. */
  readonly retryMs?: number;
}

/** How often it is looked whether what is loaded has come to be too much. */
const TRIM_MS = 5_000;

/**
 * Everything that is served here. It follows the registry: every channel's version of a local kind is registered, and loaded as
 * long as there is room; the others are loaded when they are asked for, at the cost of those that were least of late. What no
 * channel names any more is let go after its last request. A bundle that is broken fails alone; a load that failed for a passing
 * reason is tried again.
 */
export class ExpertLibrary {
  readonly name = 'expert library';
  /** Which versions callers mean. */
  readonly names: VersionNames;
  private readonly slots = new Slots();
  private readonly opener: ExpertOpener;
  private readonly wishes: ResidencyWishes;
  private readonly warm: WarmVersions;
  private readonly wanted: WantedVersions;
  private readonly budget: ResidencyBudget;
  private readonly waiting: LoadWaiting;
  private readonly queue: LoadQueue;
  private readonly departures: Departures;
  private readonly loads: SlotLoads;
  private readonly retries: LoadRetries;
  private readonly following: RegistryFollower;
  private trimming: NodeJS.Timeout | undefined;
  private readonly uses = new UseClock();
  private readonly misses = counter(METRICS.residencyMisses);

  constructor(
    view: RegistryView,
    store: ArtifactStore,
    processes: InferenceProcesses,
    options: LibraryOptions,
  ) {
    this.opener = new ExpertOpener(store, processes, options);
    this.wishes = new ResidencyWishes(options.pinnedExperts, options.expertPriorities);
    this.warm = new WarmVersions((expert, version) => this.isReady(expert, version));
    this.wanted = new WantedVersions(view, this.warm);
    this.names = new VersionNames(view, this.warm, this.slots);
    this.waiting = new LoadWaiting(options.maxLoadQueue);
    this.queue = new LoadQueue(
      (slot, mayEvict) => this.loads.load(slot, mayEvict),
      (slot) => this.following.rank(slot),
      async () => {
        await this.opener.letHeldGo();
      },
    );
    this.departures = new Departures(this.slots, this.queue);
    this.budget = new ResidencyBudget(options.memoryLimitBytes, {
      opener: this.opener,
      wishes: this.wishes,
      count: options.memoryCounts === 'resident' ? new ResidentCount(processes) : COUNT_WEIGHTS,
      loaded: () => this.departures.loaded,
      evict: (key) => this.departures.evict(key),
      freed: async () => {
        const wasLeaving = await this.departures.freed();
        return (await this.opener.letHeldGo()) || wasLeaving;
      },
    });
    this.retries = new LoadRetries(options.retryMs ?? 1_000, (slot) => {
      if (this.slots.get(keyOf(slot)) === slot && slot.state === 'failed') this.following.startAnew(slot);
    });
    const { slots, names, wishes, warm, wanted, opener, budget, queue, departures, retries } = this;
    const parties = { slots, names, wishes, warm, wanted, opener, budget, queue, departures, retries };
    this.following = new RegistryFollower(view, parties);
    const onReady = (slot: Slot) => {
      this.following.hasLoaded(slot);
    };
    this.loads = new SlotLoads({ ...parties, uses: this.uses, onReady });
    this.misses.add(0);
  }

  async start(): Promise<void> {
    this.trimming = setInterval(() => {
      this.budget.trim();
    }, TRIM_MS).unref();
    this.following.start();
    await this.queue.idle();
  }

  async close(): Promise<void> {
    clearInterval(this.trimming);
    this.retries.close();
    await this.following.close();
    await this.queue.close();
    await this.departures.settled();
  }

  /** All slots, by name. */
  list(): Slot[] {
    return this.slots.list();
  }

  /** Bytes accounted to what is loaded: those that experts have for themselves, and those of the bases that they share. */
  get residentBytes(): { readonly own: number; readonly shared: number } {
    return { own: this.budget.ownBytes, shared: this.budget.sharedBytes };
  }

  /** Whether a process may wait for the next model besides what is loaded. */
  get hasRoomForSpare(): boolean {
    return this.budget.hasRoomForSpare;
  }

  /** Whether a second process of a busy model, with so many bytes, may be started. */
  hasRoomForRelief(bytes: number): boolean {
    return this.budget.hasRoomForRelief(bytes);
  }

  /** Requests that wait for experts to be loaded. */
  get waitingForLoads(): number {
    return this.waiting.count;
  }

  /** How often a version was let go to make room. */
  get evictions(): number {
    return this.departures.evictionCount;
  }

  /** How a version stands beside the others, and the inference process that it runs in; empty while it is not loaded. */
  standingOf({ expert, version, registered, served }: Slot): SlotStanding {
    return {
      isPinned: this.wishes.isPinned(expert, version),
      priority: this.wishes.priority(expert, version),
      process: served ? this.opener.processOf(registered) : '',
    };
  }

  /** True for a version that is served here, loaded or not. */
  has(expert: string, version: string): boolean {
    return this.slots.get(`${expert}@${version}`) !== undefined;
  }

  isReady(expert: string, version: string): boolean {
    return this.slots.get(`${expert}@${version}`)?.state === 'ready';
  }

  onChange(listener: (slot: Slot) => void): void {
    this.slots.onChange(listener);
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
    this.names.requireKnown(expert, version);
    const key = `${expert}@${version}`;
    this.wanted.want(key);
    this.wishes.set(key, wish);
    this.following.reconcile();
    const failed = this.slots.get(key);
    if (failed?.state === 'failed') this.following.startAnew(failed);
    const slot = this.slot(expert, version);
    slot.refusedUntil = 0;
    await this.acquire(slot, options, false);
    this.leave(slot);
  }

  /** Lets a version go until it is loaded by hand again; resolves after its last request. */
  async unload(expert: string, version: string): Promise<void> {
    this.names.requireKnown(expert, version);
    const key = `${expert}@${version}`;
    this.wanted.refuse(key);
    this.wishes.forget(key);
    this.following.reconcile();
    await this.departures.settled();
  }

  private slot(expert: string, version: string): Slot {
    const slot = this.slots.get(`${expert}@${version}`);
    if (slot) return slot;
    this.names.requireKnown(expert, version);
    throw new ThalamusError('EXPERT_NOT_READY', `${expert}@${version} is registered but not served here.`, {
      retryAfterMs: 1_000,
    });
  }

  /** The expert, ready and counted as in use; loaded first when it is not. */
  private async acquire(slot: Slot, options: SubmitOptions, isBound = true): Promise<ServedExpert> {
    this.uses.asked(slot);
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
}
