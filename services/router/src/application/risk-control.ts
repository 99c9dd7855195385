import { ThalamusError } from '@thalamus/errors';
import {
  certifySteps,
  FairCache,
  type CertifiedRule,
  type RiskPlan,
  type RiskRows,
  type RiskTarget,
} from '@thalamus/routing';
import { setImmediate } from 'node:timers/promises';

/** Rules that are kept for one router model. */
const MOST_KEPT = 256;
/** Rules that may wait to be made, of one tenant and of all. */
const MOST_OF_TENANT = 8;
const MOST_WAITING = 64;
/** How long the event loop is held at a time, milliseconds. */
const SLICE_MS = 2;

/** What a rule is asked for. */
export interface RuleWish {
  readonly tenant: string;
  readonly plan: RiskPlan;
  readonly target: RiskTarget;
}

/** A rule that is to be made; whoever asks for the same meanwhile waits for it, too. */
interface Order extends RuleWish {
  readonly key: string;
  readonly rule: Promise<CertifiedRule>;
  readonly resolve: (rule: CertifiedRule) => void;
  readonly reject: (fault: unknown) => void;
}

/**
 * Rules that keep bounds on the risk, for one router model. One is made when it is first asked for, a slice at a time so that
 * other prompts are answered meanwhile, one after the other, tenants in turn; then it is kept by experts, costs and bound. Who asks for
 * ever new bounds waits for its own: of others each has the next turn, and no rule of theirs is forgotten for its.
 */
export class RiskControl {
  private readonly kept = new FairCache<CertifiedRule>(MOST_KEPT);
  private readonly making = new Map<string, Order>();
  /** Orders that nobody works on, by tenant; whose turn is next first. */
  private readonly waiting = new Map<string, Order[]>();
  private isAtWork = false;

  constructor(private readonly rows: RiskRows) {}

  /** @throws REQUEST_INVALID for a bound that is none, RATE_LIMITED, EXPERT_OVERLOADED, and the reason of the signal */
  async ruleFor(wish: RuleWish, signal: AbortSignal): Promise<CertifiedRule> {
    const key = `${wish.plan.key}|${wish.target.alpha}|${wish.target.delta}`;
    const own = this.kept.get(wish.tenant, key);
    if (own) return own;
    const known = this.kept.find(key);
    if (known) this.kept.set(wish.tenant, key, known);
    return known ?? unlessAborted((this.making.get(key) ?? this.order(key, wish)).rule, signal);
  }

  private order(key: string, wish: RuleWish): Order {
    this.requireRoom(wish.tenant);
    let resolve: Order['resolve'] = () => undefined;
    let reject: Order['reject'] = () => undefined;
    const rule = new Promise<CertifiedRule>((...ends) => {
      [resolve, reject] = ends;
    });
    // All who asked may have gone.
    rule.catch(() => undefined);
    const order = { ...wish, key, rule, resolve, reject };
    this.making.set(key, order);
    this.waiting.set(wish.tenant, [...(this.waiting.get(wish.tenant) ?? []), order]);
    if (!this.isAtWork) void this.work();
    return order;
  }

  private requireRoom(tenant: string): void {
    const orders = [...this.making.values()];
    if (orders.filter((order) => order.tenant === tenant).length >= MOST_OF_TENANT)
      throw new ThalamusError(
        'RATE_LIMITED',
        `${MOST_OF_TENANT} bounds on the risk are being certified for the tenant ${tenant}, which is its limit; try again in a moment, or ask for one that was asked for before.`,
        { retryAfterMs: 1_000 },
      );
    if (orders.length >= MOST_WAITING)
      throw new ThalamusError(
        'EXPERT_OVERLOADED',
        `${MOST_WAITING} other bounds on the risk are being certified; try again in a moment, or ask for one that was asked for before.`,
        { retryAfterMs: 1_000 },
      );
  }

  private async work(): Promise<void> {
    this.isAtWork = true;
    for (let order = this.next(); order; order = this.next()) {
      try {
        const rule = await this.make(order);
        this.kept.set(order.tenant, order.key, rule);
        order.resolve(rule);
      } catch (fault) {
        order.reject(fault);
      }
      this.making.delete(order.key);
      // Many short ones would hold up all else, as a long one would.
      await setImmediate();
    }
    this.isAtWork = false;
  }

  /** The oldest order of the tenant whose turn it is. */
  private next(): Order | undefined {
    for (const [tenant, [order, ...others]] of this.waiting) {
      this.waiting.delete(tenant);
      if (others.length > 0) this.waiting.set(tenant, others);
      if (order) return order;
    }
    return undefined;
  }

  private async make({ plan, target }: RuleWish): Promise<CertifiedRule> {
    const steps = certifySteps(this.rows, plan, target);
    let until = performance.now() + SLICE_MS;
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      if (performance.now() < until) continue;
      await setImmediate();
      until = performance.now() + SLICE_MS;
    }
  }
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
