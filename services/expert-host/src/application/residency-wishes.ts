/** What an operator says of an expert. */
export interface ResidencyWish {
  readonly isPinned?: boolean;
  readonly priority?: number;
}

/** What is pinned and what goes before what: from the settings, and for single versions from whoever loads them by hand. */
export class ResidencyWishes {
  private readonly byHand = new Map<string, ResidencyWish>();
  private readonly pinned: ReadonlySet<string>;

  constructor(
    /** Names of experts, or name@version. */
    pinned: readonly string[],
    /** By name of an expert. */
    private readonly priorities: ReadonlyMap<string, number>,
  ) {
    this.pinned = new Set(pinned);
  }

  /** Stands until `forget`. */
  set(key: string, wish: ResidencyWish): void {
    this.byHand.set(key, { ...this.byHand.get(key), ...wish });
  }

  forget(key: string): void {
    this.byHand.delete(key);
  }

  isPinned(expert: string, version: string): boolean {
    const key = `${expert}@${version}`;
    return this.byHand.get(key)?.isPinned ?? (this.pinned.has(expert) || this.pinned.has(key));
  }

  /** 0 when nobody says anything. */
  priority(expert: string, version: string): number {
    return this.byHand.get(`${expert}@${version}`)?.priority ?? this.priorities.get(expert) ?? 0;
  }
}
