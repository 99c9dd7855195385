import { ThalamusError } from '@thalamus/errors';
import { InferenceChild, type ChildOptions } from './inference-child.js';
import { MemoryDrift } from './memory-drift.js';
import type { OpenModels } from './open-models.js';
import { RestartPause } from './restart-pause.js';
import { sessionGone } from './session-checks.js';

/** Why a process is exchanged for a new one. */
export type ExchangeReason = 'memory-drift' | 'out-of-memory' | 'session-options';

/** As long as the library may take, which a spare loads before. */
const NAME_TIMEOUT_MS = 30_000;

/** How a child is kept. */
export interface KeptChildOptions extends ChildOptions {
  /** Runs in flight may take so long before a child is exchanged. */
  readonly runTimeoutMs: number;
  /** How long `close` lets runs in flight end. */
  readonly closeGraceMs: number;
  /** Memory that runs may keep besides what the models need, bytes. */
  readonly slackBytes: number;
  /** A process that was started ahead, if there is one; `onExit` is told of its end. */
  readonly takeSpare?: (onExit: (reason: string) => void) => InferenceChild | undefined;
  /** Told that there is a child from now on. */
  readonly onStart?: () => void;
  /** Told whenever the child ended without being asked to. */
  readonly onCrash?: (reason: string) => void;
  /** Told that a child is being exchanged, and what it had. */
  readonly onExchange?: (reason: ExchangeReason, pid: number | undefined, residentBytes: number) => void;
  /** Told when nothing is open any more, so that there is no child. */
  readonly onEmpty?: () => void;
}

/**
 * The child of what is open: there while anything is, started again with everything when it dies, exchanged when it keeps memory.
 * One that keeps dying is started again after ever longer pauses.
 */
export class KeptChild {
  private child: InferenceChild | undefined;
  /** One that was exchanged, while it ends what it runs. */
  private leaving: InferenceChild | undefined;
  private starting: Promise<InferenceChild> | undefined;
  private closing: Promise<void> | undefined;
  /** Work that has begun to open something: it is not counted as open yet. */
  private opening = 0;
  /** Why the child is to be exchanged as soon as that is possible. */
  private wanted: ExchangeReason | undefined;
  private readonly pause = new RestartPause();
  private readonly drift: MemoryDrift;
  private crashes = 0;

  constructor(
    private readonly open: OpenModels,
    private readonly options: KeptChildOptions,
  ) {
    this.drift = new MemoryDrift(options.slackBytes);
  }

  get crashCount(): number {
    return this.crashes;
  }

  /** Process id; undefined while there is none. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Resident memory, bytes; undefined without a child, and where the system does not say. */
  get residentBytes(): number | undefined {
    return this.child?.residentBytes;
  }

  /** Calls that have no answer yet; infinitely many while there is no child to ask. */
  get inFlight(): number {
    return this.starting === undefined ? (this.child?.inFlight ?? Infinity) : Infinity;
  }

  get isClosing(): boolean {
    return this.closing !== undefined;
  }

  /** Whether this child is the one that answers now. */
  isCurrent(child: InferenceChild): boolean {
    return this.child === child;
  }

  /** The child with everything open in it. @throws EXPERT_NOT_READY after close */
  ready(): Promise<InferenceChild> {
    if (this.closing)
      return Promise.reject(new ThalamusError('EXPERT_NOT_READY', 'The inference process is shutting down.'));
    if (this.starting) return this.starting;
    if (this.child) return Promise.resolve(this.child);
    return this.begin(() => this.start());
  }

  /** The child as it is once a start under way has ended. */
  async settled(): Promise<InferenceChild | undefined> {
    await this.starting?.catch(() => undefined);
    return this.child;
  }

  /** Does work that opens something: the child is there until its end, and neither ended nor exchanged meanwhile. */
  async whileOpening<T>(work: () => Promise<T>): Promise<T> {
    const { child, residentBytes } = this;
    this.opening += 1;
    try {
      return await work();
    } finally {
      this.opening -= 1;
      if (child && this.child === child) this.drift.loaded(residentBytes, this.residentBytes);
      else this.drift.started(this.residentBytes);
      await this.endWhenEmpty();
    }
  }

  /** Ends the child when nothing is open. */
  async endWhenEmpty(): Promise<void> {
    if (!this.needsNoChild()) return;
    await this.starting?.catch(() => undefined);
    if (!this.needsNoChild()) return;
    const child = this.child;
    this.child = undefined;
    this.options.onEmpty?.();
    await child?.stop(0);
  }

  /** The child found no memory: what allocates in it may fail from now on, so it is exchanged, at once or by the next check. */
  ranOutOfMemory(child: InferenceChild): void {
    if (this.child !== child) return;
    this.exchange('out-of-memory');
  }

  /** Exchanges the child for a new one with everything open, now or when what is being loaded has ended. */
  exchange(reason: ExchangeReason): void {
    if (!this.child) return;
    this.wanted = reason;
    this.checkMemory();
  }

  /**
   * Exchanges a child that keeps memory without use for a new one with everything open. Runs in flight end in the old one, later
   * ones wait for the new one. What is being loaded is waited for: the next check comes.
   */
  checkMemory(): void {
    const { child, residentBytes = 0 } = this;
    const isBusy = this.starting !== undefined || this.closing !== undefined || this.opening > 0;
    if (!child || isBusy || this.open.isEmpty) return;
    if (!this.wanted && !this.drift.isExceeded(residentBytes, this.open.bytes)) return;
    const now = performance.now();
    if (!this.drift.mayExchange(now)) return;
    this.drift.exchanged(now);
    this.options.onExchange?.(this.wanted ?? 'memory-drift', child.pid, residentBytes);
    this.wanted = undefined;
    this.child = undefined;
    this.leaving = child;
    const exchange = async () => {
      await child.stop(this.options.runTimeoutMs);
      this.leaving = undefined;
      return this.start();
    };
    // A child that cannot be started again says so in the runs that wait for it.
    this.begin(exchange).catch(() => undefined);
  }

  close(): Promise<void> {
    this.closing ??= this.stop();
    return this.closing;
  }

  private async stop(): Promise<void> {
    // One that is being started is ended too: what it loads is not waited for any longer than runs are.
    const { closeGraceMs } = this.options;
    await Promise.all([this.child?.stop(closeGraceMs), this.leaving?.stop(closeGraceMs)]);
    await this.starting?.catch(() => undefined);
  }

  private needsNoChild(): boolean {
    return !this.closing && this.opening === 0 && this.open.isEmpty;
  }

  private begin(start: () => Promise<InferenceChild>): Promise<InferenceChild> {
    const starting = start().finally(() => {
      this.starting = undefined;
    });
    this.starting = starting;
    return starting;
  }

  private async start(): Promise<InferenceChild> {
    for (;;) {
      await this.pause.wait();
      if (this.closing) throw sessionGone();
      const child = this.newChild();
      this.child = child;
      this.wanted = undefined;
      this.options.onStart?.();
      await this.open.loadInto(child, () => this.child === child);
      if (this.child !== child) continue;
      this.drift.started(child.residentBytes);
      return child;
    }
  }

  /** One that was started ahead, or a new one. */
  private newChild(): InferenceChild {
    const { takeSpare, name = '' } = this.options;
    const onExit = (reason: string) => {
      this.onExit(child, reason);
    };
    const spare = takeSpare?.(onExit);
    spare?.ask('prepared', { kind: 'name', name }, NAME_TIMEOUT_MS).catch(() => undefined);
    const child = spare ?? new InferenceChild(onExit, this.options);
    return child;
  }

  private onExit(child: InferenceChild, reason: string): void {
    if (this.child !== child) return;
    this.child = undefined;
    if (this.closing) return;
    this.crashes += 1;
    this.pause.crashed();
    this.options.onCrash?.(reason);
    // Warm again before the next request; a failure here shows up in that request.
    if (!this.open.isEmpty) this.ready().catch(() => undefined);
  }
}
