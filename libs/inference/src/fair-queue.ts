/** What a fair queue knows of an item. */
export interface FairItem {
  /** Whom it is charged to. */
  readonly tenant: string;
  /** What it costs, such as its tokens; above 0. */
  readonly size: number;
}

/** So many items of such a size, taken together. */
export interface FairLoad {
  readonly count: number;
  readonly cost: number;
}

/** Limits of a batch. */
export interface BatchLimits {
  readonly maxBatch: number;
  /** Largest number of items times size of the largest; one item alone may cost more. */
  readonly maxCost: number;
}

/** A tenant: what waits, oldest first, and the virtual time at which the next of it starts. */
interface Account<T> {
  readonly waiting: T[];
  cost: number;
  start: number;
}

/** Items of one tenant that may join a batch, nearest in size to its leader first. */
interface Joining<T> {
  readonly account: Account<T>;
  readonly near: T[];
}

/** Sizes that differ by no more than this, and a quarter of the larger one, go together: a run of its own costs as much. */
const NEAR_SIZE = 16;
const NEAR_SHARE = 0.25;
/** Tenants with nothing waiting whose last charges are remembered; of more, the oldest is forgiven. */
const REMEMBERED = 1_024;

/**
 * Items of many tenants, taken in batches of similar size so that each tenant that always waits gets the same cost:
 * start-time fair queuing (Goyal, Vin, Cheng: Start-time Fair Queueing, SIGCOMM 1996) over batches. Each item starts, in virtual time, where the item
 * of its tenant before it ended; the batch is led by the oldest item of the tenant that starts first, and is filled in the same order
 * with what is near to it in size. Of tenants that always wait none is ahead of another by more than one batch and one item.
 * Who had nothing waiting starts at the present: idleness earns nothing. Of one tenant the oldest item is always in the next batch. O(n log n) for a batch.
 */
export class FairQueue<T extends FairItem> {
  private readonly accounts = new Map<string, Account<T>>();
  private order = new WeakMap<T, number>();
  private nextOrder = 0;
  private count = 0;
  /** The present in virtual time: the latest start of what has been taken. */
  private present = 0;

  /** Items that wait. */
  get length(): number {
    return this.count;
  }

  /** All that waits. */
  get load(): FairLoad {
    let cost = 0;
    for (const account of this.accounts.values()) cost += account.cost;
    return { count: this.count, cost };
  }

  /** Tenants of which something waits, this one counted as if it did. */
  tenantsWith(tenant: string): number {
    const others = [...this.accounts].filter(([name, { waiting }]) => name !== tenant && waiting.length > 0);
    return others.length + 1;
  }

  /** What waits of one tenant. */
  of(tenant: string): FairLoad {
    const account = this.accounts.get(tenant);
    return { count: account?.waiting.length ?? 0, cost: account?.cost ?? 0 };
  }

  /** What would be taken before an item that this tenant adds now. */
  ahead(tenant: string): FairLoad {
    const own = this.accounts.get(tenant);
    const start = Math.max(own?.start ?? 0, this.present) + (own?.cost ?? 0);
    let count = 0;
    let cost = 0;
    for (const account of this.accounts.values()) {
      if (account.cost === 0) continue;
      const before = account === own ? account.cost : clamp(start - account.start, account.cost);
      cost += before;
      count += (account.waiting.length * before) / account.cost;
    }
    return { count, cost };
  }

  push(item: T): void {
    let account = this.accounts.get(item.tenant);
    if (!account) {
      this.forget();
      account = { waiting: [], cost: 0, start: this.present };
      this.accounts.set(item.tenant, account);
    }
    if (account.waiting.length === 0) account.start = Math.max(account.start, this.present);
    account.waiting.push(item);
    account.cost += item.size;
    this.order.set(item, this.nextOrder++);
    this.count += 1;
  }

  /** Takes out one item without charge; nothing happens when it does not wait. */
  remove(item: T): void {
    const account = this.accounts.get(item.tenant);
    const at = account?.waiting.indexOf(item) ?? -1;
    if (!account || at < 0) return;
    account.waiting.splice(at, 1);
    account.cost -= item.size;
    this.count -= 1;
  }

  /** Takes out, without charge, all items that are so. */
  removeAll(isSo: (item: T) => boolean): T[] {
    const removed = [...this.accounts.values()].flatMap(({ waiting }) => waiting.filter(isSo));
    for (const item of removed) this.remove(item);
    return removed;
  }

  /** Takes the next batch, and charges each item to its tenant; empty when nothing waits. */
  take({ maxBatch, maxCost }: BatchLimits): T[] {
    const first = this.first(this.backlogged());
    const leader = first?.waiting[0];
    if (!first || !leader) return [];
    const joining = this.backlogged().map((account) => ({ account, near: this.nearTo(leader, account) }));
    this.charge(first, leader);
    const batch = [leader];
    let largest = leader.size;
    const lead = Math.min(maxCost, maxBatch * leader.size);
    while (batch.length < maxBatch) {
      const next = this.nextToJoin(joining, lead);
      const item = next?.near.shift();
      if (!next || !item) break;
      const grown = Math.max(largest, item.size);
      if ((batch.length + 1) * grown > maxCost) {
        next.near.length = 0;
        continue;
      }
      this.charge(next.account, item);
      batch.push(item);
      largest = grown;
    }
    return batch;
  }

  /** Forgets all charges: nothing waits and nothing runs, so that nobody was ever kept waiting by what they are for. */
  rest(): void {
    if (this.count > 0) return;
    this.accounts.clear();
    this.present = 0;
  }

  private backlogged(): Account<T>[] {
    return [...this.accounts.values()].filter(({ waiting }) => waiting.length > 0);
  }

  /** The account that starts first; of those that start together the one whose item came first. */
  private first(accounts: readonly Account<T>[]): Account<T> | undefined {
    return accounts.reduce<Account<T> | undefined>((best, account) => {
      if (!best || account.start < best.start) return account;
      return account.start === best.start && this.age(account) < this.age(best) ? account : best;
    }, undefined);
  }

  private age({ waiting: [oldest] }: Account<T>): number {
    return (oldest && this.order.get(oldest)) ?? Infinity;
  }

  /** Items near enough to the leader to be padded together, nearest first, oldest first among equals. */
  private nearTo(leader: T, { waiting }: Account<T>): T[] {
    const distance = ({ size }: T) => Math.abs(size - leader.size);
    return waiting
      .filter(
        (item) =>
          item !== leader && distance(item) <= NEAR_SIZE + NEAR_SHARE * Math.max(item.size, leader.size),
      )
      .sort((a, b) => distance(a) - distance(b));
  }

  /** Who joins next: nobody who is a whole batch ahead of a tenant that waits on. */
  private nextToJoin(joining: readonly Joining<T>[], lead: number): Joining<T> | undefined {
    const last = Math.min(...this.backlogged().map(({ start }) => start));
    const may = joining.filter(({ account, near }) => near.length > 0 && account.start < last + lead);
    const account = this.first(may.map((each) => each.account));
    return may.find((each) => each.account === account);
  }

  private charge(account: Account<T>, item: T): void {
    this.remove(item);
    this.present = Math.max(this.present, account.start);
    account.start += item.size;
  }

  /** Lets go of tenants with nothing waiting who would start at the present anyhow, and of the oldest of too many others. */
  private forget(): void {
    if (this.accounts.size < REMEMBERED) return;
    const idle = [...this.accounts].filter(([, { waiting }]) => waiting.length === 0);
    const paid = idle.filter(([, { start }]) => start <= this.present);
    for (const [tenant] of paid.length > 0 ? paid : idle.slice(0, 1)) this.accounts.delete(tenant);
  }
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(value, 0), most);
}
