import { ThalamusError } from '@thalamus/errors';
import type { ExpectedMemory } from '../domain/memory-charge.js';
import { planResidency, type ResidencyPlan, type ResidencyQuestion } from '../domain/residency.js';
import type { ExpertOpener, MakeRoom, Need } from './expert-opener.js';
import { LoadRooms, type LoadTicket, type Promised } from './load-rooms.js';
import type { MemoryCount } from './memory-count.js';
import type { ResidencyWishes } from './residency-wishes.js';
import { keyOf, type Slot } from './slot.js';

/** When a caller whose expert finds no room may come back, milliseconds. */
export const NO_ROOM_RETRY_MS = 1_000;
/** Looks in a row that must find more than the limit before anything is let go for it. */
const LOOKS_OVER = 2;

/** What the budget asks of the library. */
export interface BudgetParties {
  readonly opener: ExpertOpener;
  readonly wishes: ResidencyWishes;
  readonly count: MemoryCount;
  /** Everything that is in memory, what is being let go among it. */
  readonly loaded: () => Iterable<Slot>;
  /** Lets a version go after its last request; it stays registered. */
  readonly evict: (key: string) => Promise<void>;
  /** Resolves when all that is in memory and being let go has gone; with false when nothing is. */
  readonly freed: () => Promise<boolean>;
}

/** The bytes that experts may take, and the room that is made for more. */
export class ResidencyBudget {
  private readonly rooms = new LoadRooms();
  private looksOver = 0;

  constructor(
    private readonly limitBytes: number,
    private readonly parties: BudgetParties,
  ) {}

  /** Bytes that loaded experts share with nobody. */
  get ownBytes(): number {
    let sum = 0;
    for (const slot of this.parties.loaded()) sum += this.ownBytesOf(slot);
    return sum;
  }

  /** Bytes of the bases in memory, of what waits for a model, and of second processes. */
  get sharedBytes(): number {
    const { spareBytes, reliefBytes } = this.parties.count;
    return spareBytes + reliefBytes + sumOf(this.baseBytes().values());
  }

  /** Bytes of what is in memory, and of what is promised to loads under way. */
  get usedBytes(): number {
    return this.ownBytes + this.sharedBytes + sumOf(this.rooms.promised.map(({ bytes }) => bytes));
  }

  /** Whether a version fits besides what is there now. */
  hasRoomFor({ registered, expert, version }: Slot): boolean {
    const weightBytes = Number(registered.sizeBytes);
    const hasProcess = this.parties.opener.baseOf(registered) !== undefined;
    const { likely } = this.parties.count.expect(`${expert}@${version}`, weightBytes);
    return this.usedBytes + (hasProcess ? weightBytes : likely) <= this.limitBytes;
  }

  /** Whether a process may wait for the next model besides what is there now. */
  get hasRoomForSpare(): boolean {
    return this.usedBytes + this.parties.count.nextSpareBytes <= this.limitBytes;
  }

  /** Whether a second process of a busy model, with so many bytes, fits besides what is there now. */
  hasRoomForRelief(bytes: number): boolean {
    return this.usedBytes + bytes <= this.limitBytes;
  }

  /** A load begins; it ends with its ticket. */
  begin(): LoadTicket {
    return this.rooms.begin();
  }

  /** How a load gets its room; `mayEvict` says whether at the cost of others. */
  roomsFor(ticket: LoadTicket, mayEvict: () => boolean): MakeRoom {
    return {
      make: (need) => this.makeRoom(ticket, need, mayEvict),
      behind: (work) => this.rooms.behind(ticket, work),
    };
  }

  /** Whether a load that was refused, and holds nothing, may try again, once it may. */
  again(ticket: LoadTicket): Promise<boolean> {
    ticket.giveBack();
    return this.rooms.again(ticket);
  }

  /** Lets go of what has come to be too much since it was loaded; waits for nothing, and for loads under way. */
  trim(): void {
    if (!this.rooms.isEmpty) return;
    this.parties.count.measure();
    this.looksOver = this.usedBytes > this.limitBytes ? this.looksOver + 1 : 0;
    if (this.looksOver > 0) this.parties.count.endRelief();
    if (this.looksOver > 0) this.parties.count.endSpare();
    if (this.looksOver < LOOKS_OVER) return;
    this.looksOver = 0;
    const plan = planResidency(this.question(undefined, 0));
    if (plan.kind === 'evict') for (const key of plan.victims) void this.parties.evict(key);
  }

  /**
   * Resolves once there is room.
   * @throws EXPERT_OVERLOADED when nothing that may go frees enough, or when there is no room and nothing may go for it
   */
  private async makeRoom(ticket: LoadTicket, need: Need, mayEvict: () => boolean) {
    if (need.base !== undefined) ticket.bases.add(need.base);
    for (;;) {
      const found = await this.rooms.inTurn(() => this.find(ticket, need, mayEvict));
      if (typeof found === 'number') {
        const promised = ticket.promise(need, found);
        return { loaded: () => this.hasLoaded(ticket, promised) };
      }
      if (!mayEvict() || !(await this.rooms.anotherCameOn(ticket))) throw found;
    }
  }

  /** Bytes that are free for a need, or why there are none. */
  private async find(
    ticket: LoadTicket,
    need: Need,
    mayEvict: () => boolean,
  ): Promise<number | ThalamusError> {
    for (;;) {
      const { bytes, plan } = this.plan(ticket, need);
      if (plan.kind === 'fits') return bytes;
      if (this.parties.count.reliefBytes > 0) {
        this.parties.count.endRelief();
        continue;
      }
      if (!need.startsProcess && this.parties.count.spareBytes > 0) {
        this.parties.count.endSpare();
        continue;
      }
      if (plan.kind === 'impossible') return this.impossible({ ...need, bytes }, plan.heldBytes);
      if (plan.kind === 'evict') {
        if (!mayEvict()) return this.full({ ...need, bytes });
        await Promise.all(plan.victims.map((key) => this.parties.evict(key)));
      } else if (!(await this.parties.freed())) return this.full({ ...need, bytes });
    }
  }

  /** What has to happen for a need: for what is likely needed, or, where that can never fit, for what is needed at least. */
  private plan(ticket: LoadTicket, need: Need): { readonly bytes: number; readonly plan: ResidencyPlan } {
    const { count } = this.parties;
    count.measure();
    const { likely, least } = need.startsProcess
      ? this.besidesSpare(count.expect(need.of, need.bytes))
      : { likely: need.bytes, least: need.bytes };
    // Most loads find room: nothing else need be looked at.
    if (this.usedBytes + likely <= this.limitBytes) return { bytes: likely, plan: { kind: 'fits' } };
    const plan = planResidency(this.question(ticket, likely, need.base));
    if (plan.kind !== 'impossible' || least === likely) return { bytes: likely, plan };
    return { bytes: least, plan: planResidency(this.question(ticket, least, need.base)) };
  }

  /** What is needed besides the process that waits for a model: it is the one that the model gets. */
  private besidesSpare({ likely, least }: ExpectedMemory): ExpectedMemory {
    const { spareBytes } = this.parties.count;
    return { likely: Math.max(0, likely - spareBytes), least: Math.max(0, least - spareBytes) };
  }

  private hasLoaded(ticket: LoadTicket, promised: Promised): void {
    const { of, bytes, base, startsProcess } = promised.need;
    if (!startsProcess) return;
    this.parties.count.loaded(of, bytes);
    // A base is in memory by itself; anything else when its load has ended.
    if (base !== undefined) ticket.taken(promised);
  }

  private question(ticket: LoadTicket | undefined, neededBytes: number, base?: string): ResidencyQuestion {
    const bases = this.baseBytes();
    const loaded = [...this.parties.loaded()];
    const ready = loaded.filter(({ state }) => state === 'ready');
    const entries = ready.map((slot) => ({
      key: keyOf(slot),
      bytes: this.ownBytesOf(slot),
      base: this.parties.opener.baseOf(slot.registered),
      isPinned: this.parties.wishes.isPinned(slot.expert, slot.version),
      priority: this.parties.wishes.priority(slot.expert, slot.version),
      worth: slot.worth,
      lastUsedAt: slot.lastUsedAt,
      inFlight: slot.inFlight,
    }));
    // What is being loaded holds its base.
    const held = (ticket ? this.rooms.basesBeside(ticket) : []).map((digest) => ({
      ...{ key: '', bytes: 0, base: digest, isPinned: true, priority: 0, lastUsedAt: 0, inFlight: 1 },
    }));
    const stoodOn = new Set([base, ...[...entries, ...held].map((entry) => entry.base)]);
    const leaving = loaded.filter(({ state }) => state !== 'ready');
    const leavingBases = [...bases].filter(([digest]) => !stoodOn.has(digest));
    return {
      limitBytes: this.limitBytes,
      usedBytes: this.usedBytes,
      leavingBytes:
        sumOf(leaving.map((slot) => this.ownBytesOf(slot))) + sumOf(leavingBases.map(([, size]) => size)),
      neededBytes,
      entries: [...entries, ...held],
      bases,
      keptBase: base,
    };
  }

  private ownBytesOf(slot: Slot): number {
    const ownBytes = slot.served?.ownBytes ?? 0;
    // What has bytes and no base has a process; a base has none of its own, it counts among the bases.
    const standsAlone = ownBytes > 0 && slot.registered.baseDigest === '';
    return standsAlone ? this.parties.count.charge(keyOf(slot), ownBytes) : ownBytes;
  }

  /** Bytes of each base in memory, by digest: of its process without what experts have in it for themselves. */
  private baseBytes(): Map<string, number> {
    const { opener, count } = this.parties;
    const own = new Map<string, number>();
    for (const { served, registered } of this.parties.loaded())
      if (served && registered.baseDigest !== '')
        own.set(registered.baseDigest, (own.get(registered.baseDigest) ?? 0) + served.ownBytes);
    return new Map(
      opener.residentBases().map(({ digest, name, memoryBytes }) => {
        const ofExperts = own.get(digest) ?? 0;
        return [digest, count.charge(name, memoryBytes + ofExperts) - ofExperts];
      }),
    );
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

function sumOf(numbers: Iterable<number>): number {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum;
}
