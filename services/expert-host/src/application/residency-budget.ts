import { ThalamusError } from '@thalamus/errors';
import { planResidency, type ResidencyQuestion } from '../domain/residency.js';
import type { ExpertOpener, Need } from './expert-opener.js';
import type { ResidencyWishes } from './residency-wishes.js';
import { keyOf, type Slot } from './slot.js';

/** When a caller whose expert finds no room may come back, milliseconds. */
export const NO_ROOM_RETRY_MS = 1_000;

/** What the budget asks of the library. */
export interface BudgetParties {
  /** Everything that is in memory, what is being let go among it. */
  readonly loaded: () => Iterable<Slot>;
  /** Lets a version go after its last request; it stays registered. */
  readonly evict: (key: string) => Promise<void>;
  /** Resolves when all that is being let go has gone; with false when nothing is. */
  readonly settled: () => Promise<boolean>;
}

/** The bytes that experts may take, and the room that is made for more. */
export class ResidencyBudget {
  constructor(
    private readonly limitBytes: number,
    private readonly opener: ExpertOpener,
    private readonly wishes: ResidencyWishes,
    private readonly parties: BudgetParties,
  ) {}

  /** Bytes that loaded experts share with nobody. */
  get ownBytes(): number {
    let sum = 0;
    for (const { served } of this.parties.loaded()) sum += served?.ownBytes ?? 0;
    return sum;
  }

  /** Bytes of what is in memory. */
  get usedBytes(): number {
    return this.ownBytes + this.opener.sharedBytes;
  }

  /** Whether so many bytes are free now. */
  hasRoomFor(bytes: number): boolean {
    return this.usedBytes + bytes <= this.limitBytes;
  }

  /**
   * Resolves once there is room. One call at a time, since what it finds free belongs to nobody before it is loaded.
   * @throws EXPERT_OVERLOADED when nothing that may go frees enough, or when there is no room and nothing may go for it
   */
  async makeRoom(need: Need, mayEvict: boolean): Promise<void> {
    for (;;) {
      const plan = planResidency(this.question(need));
      if (plan.kind === 'fits') return;
      if (plan.kind === 'impossible') throw this.impossible(need, plan.heldBytes);
      if (plan.kind === 'evict') {
        if (!mayEvict) throw this.full(need);
        await Promise.all(plan.victims.map((key) => this.parties.evict(key)));
      } else if (!(await this.parties.settled())) throw this.full(need);
    }
  }

  private question({ bytes, base }: Need): ResidencyQuestion {
    const bases = this.opener.baseBytes();
    const loaded = [...this.parties.loaded()];
    const ready = loaded.filter(({ state }) => state === 'ready');
    const entries = ready.map((slot) => ({
      key: keyOf(slot),
      bytes: slot.served?.ownBytes ?? 0,
      base: this.opener.baseOf(slot.registered),
      isPinned: this.wishes.isPinned(slot.expert, slot.version),
      priority: this.wishes.priority(slot.expert, slot.version),
      worth: slot.worth,
      lastUsedAt: slot.lastUsedAt,
      inFlight: slot.inFlight,
    }));
    const stoodOn = new Set([base, ...entries.map((entry) => entry.base)]);
    const leaving = loaded.filter(({ state }) => state !== 'ready');
    const leavingBases = [...bases].filter(([digest]) => !stoodOn.has(digest));
    return {
      limitBytes: this.limitBytes,
      usedBytes: this.usedBytes,
      leavingBytes:
        leaving.reduce((sum, { served }) => sum + (served?.ownBytes ?? 0), 0) +
        leavingBases.reduce((sum, [, size]) => sum + size, 0),
      neededBytes: bytes,
      entries,
      bases,
      keptBase: base,
    };
  }

  private impossible({ of, bytes }: Need, heldBytes: number): ThalamusError {
    return new ThalamusError(
      'EXPERT_OVERLOADED',
      `${of} needs ${bytes} bytes beside ${heldBytes} that are pinned or in use; the memory limit is ${this.limitBytes} bytes. Raise THALAMUS_MEMORY_LIMIT, or take experts out of THALAMUS_PINNED_EXPERTS.`,
      { retryAfterMs: NO_ROOM_RETRY_MS },
    );
  }

  private full({ of, bytes }: Need): ThalamusError {
    return new ThalamusError(
      'EXPERT_OVERLOADED',
      `${of} needs ${bytes} bytes and the memory limit of ${this.limitBytes} bytes is reached; it is loaded when it is asked for. Raise THALAMUS_MEMORY_LIMIT to keep more loaded.`,
      { retryAfterMs: NO_ROOM_RETRY_MS },
    );
  }
}
