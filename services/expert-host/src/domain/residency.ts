/** A version that is loaded, as the choice of what to let go sees it. */
export interface ResidentEntry {
  readonly key: string;
  /** Bytes that it shares with nobody. */
  readonly bytes: number;
  /** Digest of the base that it stands on; undefined for one that stands alone. */
  readonly base: string | undefined;
  readonly isPinned: boolean;
  /** Lower ones are let go first. */
  readonly priority: number;
  /** How much it was used lately; of two with the same priority the one with less is let go first. Default 0. */
  readonly worth?: number;
  /** When its last request began or ended, on any one clock: decides between two of the same worth. */
  readonly lastUsedAt: number;
  /** Requests that it is answering. */
  readonly inFlight: number;
}

/** What is loaded, and what is to be loaded besides. */
export interface ResidencyQuestion {
  readonly limitBytes: number;
  /** Bytes of everything that is in memory, what is being let go among them. */
  readonly usedBytes: number;
  /** Those of them that are being let go already. */
  readonly leavingBytes: number;
  readonly neededBytes: number;
  readonly entries: readonly ResidentEntry[];
  /** Bytes of each base that is loaded, by digest. A base leaves with the last that stands on it. */
  readonly bases: ReadonlyMap<string, number>;
  /** Digest of the base that what is to be loaded stands on: it frees nothing. */
  readonly keptBase?: string | undefined;
}

/** What has to happen before the bytes that are needed are free. */
export type ResidencyPlan =
  | { readonly kind: 'fits' }
  /** What is being let go will do. */
  | { readonly kind: 'wait' }
  /** Keys, the one that goes first first; those with requests in flight are drained. */
  | { readonly kind: 'evict'; readonly victims: readonly string[] }
  /** Bytes that nothing can free: pinned, or needed by what is to be loaded. */
  | { readonly kind: 'impossible'; readonly heldBytes: number };

/**
 * Chooses what is let go for what is to be loaded. Pinned entries never are; those with requests in flight only when the idle
 * ones do not suffice. Lowest priority first, then what was used least of late. No victim is superfluous: one whose bytes turn out not to
 * be needed stays, the most valuable first. A base goes after everything on it. O(n log n).
 */
export function planResidency(question: ResidencyQuestion): ResidencyPlan {
  const { limitBytes, usedBytes, leavingBytes, neededBytes } = question;
  const lacking = usedBytes + neededBytes - limitBytes;
  if (lacking <= 0) return { kind: 'fits' };
  if (lacking <= leavingBytes) return { kind: 'wait' };
  const loose = question.entries.filter(({ isPinned }) => !isPinned);
  const idle = loose.filter(({ inFlight }) => inFlight === 0);
  const target = lacking - leavingBytes;
  const victims = choose(idle, target, question) ?? choose(loose, target, question);
  if (victims) return { kind: 'evict', victims };
  const freeable = new Freed(question);
  for (const entry of loose) freeable.add(entry);
  return { kind: 'impossible', heldBytes: usedBytes - leavingBytes - freeable.bytes };
}

function choose(
  entries: readonly ResidentEntry[],
  target: number,
  question: ResidencyQuestion,
): string[] | undefined {
  const freed = new Freed(question);
  const chosen: ResidentEntry[] = [];
  for (const entry of [...entries].sort(leastValuableFirst)) {
    if (freed.bytes >= target) break;
    freed.add(entry);
    chosen.push(entry);
  }
  if (freed.bytes < target) return undefined;
  const needed: string[] = [];
  for (const entry of chosen.reverse()) {
    freed.remove(entry);
    if (freed.bytes >= target) continue;
    freed.add(entry);
    needed.push(entry.key);
  }
  return needed.reverse();
}

function leastValuableFirst(a: ResidentEntry, b: ResidentEntry): number {
  const { priority, worth = 0, lastUsedAt } = a;
  return (
    priority - b.priority || worth - (b.worth ?? 0) || lastUsedAt - b.lastUsedAt || (a.key < b.key ? -1 : 1)
  );
}

/** Bytes that go with a set of entries: their own, and those of bases that nothing stands on any more. */
class Freed {
  bytes = 0;
  /** Entries that stay on each base. */
  private readonly staying = new Map<string, number>();
  private readonly bases: ReadonlyMap<string, number>;

  constructor({ entries, bases, keptBase }: ResidencyQuestion) {
    this.bases = bases;
    for (const { base } of entries) if (base !== undefined) this.stay(base, 1);
    if (keptBase !== undefined) this.stay(keptBase, 1);
  }

  add({ bytes, base }: ResidentEntry): void {
    this.bytes += bytes;
    if (base !== undefined && this.stay(base, -1) === 0) this.bytes += this.bases.get(base) ?? 0;
  }

  remove({ bytes, base }: ResidentEntry): void {
    this.bytes -= bytes;
    if (base !== undefined && this.stay(base, 1) === 1) this.bytes -= this.bases.get(base) ?? 0;
  }

  private stay(base: string, change: number): number {
    const count = (this.staying.get(base) ?? 0) + change;
    this.staying.set(base, count);
    return count;
  }
}
