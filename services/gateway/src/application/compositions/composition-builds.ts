import { toThalamusError, type ThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import { compositionName, type PinnedParent } from '../../domain/composition-name.js';
import type { MadeComposition } from './composer.port.js';
import { RecentFailures } from './recent-failures.js';

/** A failed build is left alone for so many times as long as it ran: one that fails each time takes a fifth of a turn at most. */
const REST_FACTOR = 4;

/** Bounds of what is made because requests ask for it. */
export interface BuildLimits {
  /** Compositions that are made at once. */
  readonly atOnce: number;
  /** Compositions that may wait for their turn. */
  readonly queue: number;
  /** Compositions of one tenant, made or waiting. */
  readonly perTenant: number;
  /** How long a failure is remembered at least, milliseconds. */
  readonly rememberMs: number;
}

/** A composition to be made. */
export interface Build {
  /** The same for the same parents in the same versions. */
  readonly key: string;
  /** Whose request began it. */
  readonly tenant: string;
  readonly parents: readonly PinnedParent[];
}

/** How a build ended. */
export type BuildOutcome =
  | { readonly kind: 'made'; readonly made: MadeComposition }
  | { readonly kind: 'failed'; readonly error: ThalamusError };

/** What came of the wish for a build: it is on its way, or it is not begun. */
export type BuildState =
  | { readonly kind: 'begun'; readonly outcome: Promise<BuildOutcome> }
  | { readonly kind: 'busy' }
  | { readonly kind: 'full' }
  | { readonly kind: 'failed'; readonly error: ThalamusError };

interface Waiting {
  readonly build: Build;
  readonly end: (outcome: BuildOutcome) => void;
}

interface Known {
  readonly tenant: string;
  readonly outcome: Promise<BuildOutcome>;
}

/**
 * Has compositions made, each once however many requests ask for it. A build belongs to no request: it goes on when all who asked
 * have gone. Of several that wait, one of the tenant with fewest under way comes first.
 */
export class CompositionBuilds {
  /** Made or waiting, by key. */
  private readonly known = new Map<string, Known>();
  private readonly waiting: Waiting[] = [];
  private readonly running = new Map<string, Build>();
  private readonly failures: RecentFailures;
  private readonly aborter = new AbortController();
  private readonly logger = createLogger('compositions');

  constructor(
    private readonly make: (build: Build, signal: AbortSignal) => Promise<MadeComposition>,
    private readonly limits: BuildLimits,
    private readonly now: () => number = Date.now,
  ) {
    this.failures = new RecentFailures(limits.rememberMs, now);
  }

  /** The build of this key: the one under way, a new one if there is room for what it makes, or why there is none. */
  ask(build: Build, room: number): BuildState {
    const known = this.known.get(build.key);
    if (known) return { kind: 'begun', outcome: known.outcome };
    const error = this.failures.get(build.key);
    if (error) return { kind: 'failed', error };
    if (this.known.size >= room) return { kind: 'full' };
    if (this.isBusy(build.tenant)) return { kind: 'busy' };
    const { promise: outcome, resolve } = Promise.withResolvers<BuildOutcome>();
    this.known.set(build.key, { tenant: build.tenant, outcome });
    this.waiting.push({ build, end: resolve });
    this.begin();
    return { kind: 'begun', outcome };
  }

  /** Ends what is under way. */
  close(): void {
    this.aborter.abort();
  }

  private isBusy(tenant: string): boolean {
    const { atOnce, queue, perTenant } = this.limits;
    const own = [...this.known.values()].filter((build) => build.tenant === tenant).length;
    return own >= perTenant || this.known.size >= atOnce + queue;
  }

  private begin(): void {
    while (this.running.size < this.limits.atOnce) {
      const next = this.takeNext();
      if (!next) return;
      const { build, end } = next;
      this.running.set(build.key, build);
      void this.run(build).then((outcome) => {
        this.running.delete(build.key);
        this.known.delete(build.key);
        end(outcome);
        this.begin();
      });
    }
  }

  private takeNext(): Waiting | undefined {
    const underWay = ({ build }: Waiting) =>
      [...this.running.values()].filter(({ tenant }) => tenant === build.tenant).length;
    const [best] = [...this.waiting].sort((a, b) => underWay(a) - underWay(b));
    if (best) this.waiting.splice(this.waiting.indexOf(best), 1);
    return best;
  }

  private async run(build: Build): Promise<BuildOutcome> {
    const composition = compositionName(build.parents);
    const startedAt = this.now();
    try {
      const made = await this.make(build, this.aborter.signal);
      this.logger.info({ composition, expert: made.expert, tenant: build.tenant }, 'composed on request');
      return { kind: 'made', made };
    } catch (fault) {
      const error = toThalamusError(fault);
      this.failures.add(build.key, error, REST_FACTOR * (this.now() - startedAt));
      const facts = { composition, tenant: build.tenant, code: error.code, reason: error.message };
      if (!this.aborter.signal.aborted) this.logger.warn(facts, 'a composition could not be made on request');
      return { kind: 'failed', error };
    }
  }
}
