import type { Need } from './expert-opener.js';

/** Bytes that a load was promised. */
export interface Promised {
  readonly need: Need;
  readonly bytes: number;
}

/**
 * Loads that are under way at once, and what each was promised and has not taken yet, so that none takes it twice. A load that
 * finds no room waits for the others, as long as one of them goes on; when none does, it is refused, gives back what it holds, and
 * may try again once another has ended.
 */
export class LoadRooms {
  private readonly loads = new Set<LoadTicket>();
  private line: Promise<unknown> = Promise.resolve();
  private waiters: (() => void)[] = [];
  /** Loads that have ended. */
  private ended = 0;

  begin(): LoadTicket {
    const ticket = new LoadTicket(this);
    this.loads.add(ticket);
    return ticket;
  }

  end(ticket: LoadTicket): void {
    this.loads.delete(ticket);
    this.ended += 1;
    this.changed();
  }

  get isEmpty(): boolean {
    return this.loads.size === 0;
  }

  get promised(): Promised[] {
    return [...this.loads].flatMap((load) => [...load.promised]);
  }

  /** Digests of bases that loads besides this one stand on. */
  basesBeside(ticket: LoadTicket): string[] {
    return this.besides(ticket).flatMap((load) => [...load.bases]);
  }

  /** Does one thing after the other: what a search for room has found free is nobody else's until it is promised. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.line.then(work);
    this.line = done.catch(() => undefined);
    return done;
  }

  /** Whoever waits for another load looks again. */
  changed(): void {
    const { waiters } = this;
    this.waiters = [];
    for (const wake of waiters) wake();
  }

  /** Resolves when another load has come on; with false when none goes on, so that waiting would have no end. */
  async anotherCameOn(ticket: LoadTicket): Promise<boolean> {
    if (this.besides(ticket).every(({ isWaiting }) => isWaiting)) return false;
    await this.waiting(ticket, this.change());
    return true;
  }

  /** The work of another load, which this one waits for. */
  async behind<T>(ticket: LoadTicket, work: Promise<T>): Promise<T> {
    const answer = this.waiting(ticket, work);
    // Those who wait for this load would wait without end.
    if ([...this.loads].every(({ isWaiting }) => isWaiting)) this.changed();
    return answer;
  }

  /**
   * A load was refused and holds nothing any more. Resolves with true when it may try again: once another load has ended, or at once
   * when all others wait like this; with false when it has been alone already.
   */
  async again(ticket: LoadTicket): Promise<boolean> {
    const besides = this.besides(ticket);
    if (ticket.wasAlone || besides.length === 0) return false;
    ticket.bases.clear();
    if (besides.every(({ isParked }) => isParked)) {
      ticket.wasAlone = true;
      return true;
    }
    ticket.isParked = true;
    this.changed();
    const before = this.ended;
    while (ticket.isParked) {
      await this.waiting(ticket, this.change());
      if (this.ended > before || this.besides(ticket).every(({ isParked }) => isParked))
        ticket.isParked = false;
    }
    return true;
  }

  private besides(ticket: LoadTicket): LoadTicket[] {
    return [...this.loads].filter((load) => load !== ticket);
  }

  private change(): Promise<void> {
    return new Promise((resolve) => {
      this.waiters.push(resolve);
    });
  }

  private async waiting<T>(ticket: LoadTicket, work: Promise<T>): Promise<T> {
    ticket.isWaiting = true;
    try {
      return await work;
    } finally {
      ticket.isWaiting = false;
    }
  }
}

/** One load among those that are under way. */
export class LoadTicket {
  /** It waits for another load. */
  isWaiting = false;
  /** It was refused, and holds nothing. */
  isParked = false;
  /** It was tried while no other load held anything. */
  wasAlone = false;
  readonly promised = new Set<Promised>();
  /** Digests of bases that it stands on. */
  readonly bases = new Set<string>();

  constructor(private readonly rooms: LoadRooms) {}

  end(): void {
    this.rooms.end(this);
  }

  promise(need: Need, bytes: number): Promised {
    const promised = { need, bytes };
    this.promised.add(promised);
    return promised;
  }

  /** It is in memory, and counted there from now on. */
  taken(promised: Promised): void {
    this.promised.delete(promised);
    this.rooms.changed();
  }

  /** What was promised to a try that failed is nobody's. */
  giveBack(): void {
    this.promised.clear();
  }
}
