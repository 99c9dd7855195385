/**
 * What was used last, for many owners and within one bound. When there is too much, who has most gives up what it has not used
 * for longest: nobody loses anything to others before it has more than an even share. O(owners) when something has to go, else O(1).
 */
export class FairCache<T> {
  /** By owner, who kept something last at the end; of each the least recently used first. */
  private readonly shares = new Map<string, Map<string, T>>();
  private count = 0;

  /** Keeps this many values, of all owners together; 0: none. */
  constructor(private readonly capacity: number) {}

  /** Number of values, of all owners together. */
  get size(): number {
    return this.count;
  }

  /** What an owner keeps under a key; it is then its most recently used. */
  get(owner: string, key: string): T | undefined {
    const share = this.shares.get(owner);
    const value = share?.get(key);
    if (share === undefined || value === undefined) return undefined;
    share.delete(key);
    share.set(key, value);
    return value;
  }

  /** What anybody keeps under a key. O(owners). */
  find(key: string): T | undefined {
    for (const share of this.shares.values()) {
      const value = share.get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** Keeps a value, at the cost of the owner that has most when there are too many. */
  set(owner: string, key: string, value: T): void {
    const share = this.shares.get(owner) ?? new Map<string, T>();
    if (!share.delete(key)) this.count += 1;
    share.set(key, value);
    this.shares.delete(owner);
    this.shares.set(owner, share);
    if (this.count > this.capacity) this.evict();
  }

  delete(owner: string, key: string): void {
    const share = this.shares.get(owner);
    if (!share?.delete(key)) return;
    this.count -= 1;
    if (share.size === 0) this.shares.delete(owner);
  }

  private evict(): void {
    let most: string | undefined;
    for (const [owner, { size }] of this.shares)
      if (most === undefined || size > (this.shares.get(most)?.size ?? 0)) most = owner;
    const [oldest] = this.shares.get(most ?? '')?.keys() ?? [];
    if (most !== undefined && oldest !== undefined) this.delete(most, oldest);
  }
}
