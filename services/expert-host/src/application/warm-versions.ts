/** How long the version before stays after the new one is ready: what was sent to it meanwhile still comes in. */
const LINGER_MS = 2_000;

/** The version of each expert that answers while a new one is loaded: a channel moves only when its new version is warm. */
export class WarmVersions {
  private readonly warm = new Map<string, string>();
  /** Until when a version that was relieved stays, by expert@version. */
  private readonly lingering = new Map<string, number>();

  constructor(
    private readonly isReady: (expert: string, version: string) => boolean,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** The version that answers for the stable channel: the stable one, or the one before while that is not ready. */
  of(expert: string, stable: string): string {
    const before = this.warm.get(expert);
    if (this.isReady(expert, stable)) {
      if (before !== undefined && before !== stable)
        this.lingering.set(`${expert}@${before}`, this.now() + LINGER_MS);
      this.warm.set(expert, stable);
      return stable;
    }
    return before !== undefined && this.isReady(expert, before) ? before : stable;
  }

  /** Versions of an expert besides those of its channels that must stay for now. */
  kept(expert: string, stable: string): string[] {
    const answering = this.of(expert, stable);
    const prefix = `${expert}@`;
    const lingering = [...this.lingering].filter(([key, until]) => {
      if (until <= this.now()) this.lingering.delete(key);
      return key.startsWith(prefix) && until > this.now();
    });
    return [answering, ...lingering.map(([key]) => key.slice(prefix.length))].filter(
      (version) => version !== stable,
    );
  }

  /** Milliseconds until the next version may go; undefined when none lingers. */
  get nextMs(): number | undefined {
    if (this.lingering.size === 0) return undefined;
    return Math.max(0, Math.min(...this.lingering.values()) - this.now());
  }

  /** Forgets experts that are gone. */
  retain(experts: ReadonlySet<string>): void {
    for (const expert of this.warm.keys()) if (!experts.has(expert)) this.warm.delete(expert);
  }
}
