import type { ChildOptions } from './inference-child.js';
import type { OpenModels } from './open-models.js';
import { ReliefChild } from './relief-child.js';

/** How a busy child is relieved. */
export interface ReliefOptions extends ChildOptions {
  /** Most children at a time, the first one counted. */
  readonly children: () => number;
  /** Runs in flight may take so long before an idle one is ended. */
  readonly runTimeoutMs: number;
  /** Memory that one may keep beyond what the first child has, bytes. */
  readonly slackBytes: number;
  /** Told that one ended without being asked to. */
  readonly onCrash?: (reason: string) => void;
}

/** A further child is started when runs have waited for so long, milliseconds. */
const PRESSED_MS = 300;
/** Runs that wait less often than this, milliseconds, do not wait all the time. */
const GAP_MS = 500;
/** One that ran nothing for so long is ended, milliseconds. */
const IDLE_MS = 15_000;
/** After one ended by itself there is none for so long, milliseconds: what ended it may be in what is run. */
const PAUSE_MS = 10_000;

/**
 * Further children of what is open, while more runs wait than one child can take: they double the throughput of a graph, and its memory,
 * so that there are none before it is pressed, and none once that has passed. One that dies is no loss beyond the runs in it.
 */
export class Relief {
  private readonly children = new Set<ReliefChild>();
  private pressedSince = 0;
  private lastPressed = -Infinity;
  private lookedAt = -Infinity;
  private notBefore = -Infinity;
  private closed = false;

  constructor(
    private readonly open: OpenModels,
    private readonly options: ReliefOptions,
  ) {}

  /** Process ids and memory of those that there are. */
  get processes(): readonly {
    readonly pid: number | undefined;
    readonly residentBytes: number | undefined;
  }[] {
    return [...this.children];
  }

  /** Runs that can go on at a time, with the first child. */
  get lanes(): number {
    return 1 + [...this.children].filter(({ isComplete }) => isComplete).length;
  }

  /** More runs wait than can go on; when that lasts another child is started. */
  press(now = performance.now()): void {
    if (now - this.lastPressed > GAP_MS) this.pressedSince = now;
    this.lastPressed = now;
    const isLong = now - this.pressedSince >= PRESSED_MS;
    if (!isLong || this.closed || this.open.isEmpty || now < this.notBefore) return;
    const all = [...this.children];
    if (all.some(({ isComplete }) => !isComplete)) return;
    // Every request of a busy graph comes by, and whether there may be another is dear to say.
    if (now - this.lookedAt < PRESSED_MS) return;
    this.lookedAt = now;
    if (all.length + 1 < this.options.children()) this.start();
  }

  /** The child that is to take the next run instead of one that has so many in flight; undefined when none is better. */
  pick(inFlight: number): ReliefChild | undefined {
    let best: ReliefChild | undefined;
    for (const child of this.children) {
      child.sync();
      if (child.isComplete && child.inFlight < (best?.inFlight ?? inFlight)) best = child;
    }
    return best;
  }

  /** Ends those that are idle, or have far more memory than the first; what that has is unknown while it is started again. */
  check(residentBytes: number | undefined): void {
    const most = residentBytes === undefined ? Infinity : residentBytes + this.options.slackBytes;
    for (const child of this.children)
      if (child.idleMs > IDLE_MS || (child.residentBytes ?? 0) > most) this.dismiss(child);
  }

  /** Ends one after what it runs. */
  dismiss(child: ReliefChild): void {
    if (this.children.delete(child)) void child.stop(this.options.runTimeoutMs);
  }

  /** Ends all after what they run; there may be others later. */
  dismissAll(): void {
    for (const child of this.children) this.dismiss(child);
  }

  async close(graceMs: number): Promise<void> {
    this.closed = true;
    const children = [...this.children];
    this.children.clear();
    await Promise.all(children.map((child) => child.stop(graceMs)));
  }

  private start(): void {
    const child: ReliefChild = new ReliefChild(this.open, this.options, (reason) => {
      if (!this.children.delete(child)) return;
      this.notBefore = performance.now() + PAUSE_MS;
      this.options.onCrash?.(reason);
    });
    this.children.add(child);
  }
}
