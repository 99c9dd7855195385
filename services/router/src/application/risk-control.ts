import { ThalamusError } from '@thalamus/errors';
import {
  certifySteps,
  type CertifiedRule,
  type RiskPlan,
  type RiskRows,
  type RiskTarget,
} from '@thalamus/routing';
import { setImmediate } from 'node:timers/promises';
import { PromptCache } from './prompt-cache.js';

/** Rules that are kept for one router model. */
const MOST_KEPT = 256;
/** Rules that may wait to be made. */
const MOST_WAITING = 16;
/** How long the event loop is held at a time, milliseconds. */
const SLICE_MS = 2;

/**
 * Rules that keep bounds on the risk, for one router model. One is made when it is first asked for, a slice at a time so that
 * other prompts are answered meanwhile, one after the other; then it is kept by experts, costs and bound.
 */
export class RiskControl {
  private readonly kept = new PromptCache<CertifiedRule>(MOST_KEPT);
  private readonly making = new Map<string, Promise<CertifiedRule>>();
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly rows: RiskRows) {}

  /** @throws REQUEST_INVALID for a bound that is none, EXPERT_OVERLOADED, and the reason of the signal */
  async ruleFor(plan: RiskPlan, target: RiskTarget, signal: AbortSignal): Promise<CertifiedRule> {
    const key = `${plan.key}|${target.alpha}|${target.delta}`;
    const known = this.kept.get(key);
    if (known) return known;
    return unlessAborted(this.making.get(key) ?? this.begin(key, plan, target), signal);
  }

  private begin(key: string, plan: RiskPlan, target: RiskTarget): Promise<CertifiedRule> {
    if (this.making.size >= MOST_WAITING)
      throw new ThalamusError(
        'EXPERT_OVERLOADED',
        `${MOST_WAITING} other bounds on the risk are being certified; try again in a moment, or ask for one that was asked for before.`,
        { retryAfterMs: 1_000 },
      );
    const work = this.last.then(() => this.make(plan, target));
    this.making.set(key, work);
    this.last = work.then(
      (rule) => {
        this.making.delete(key);
        this.kept.set(key, rule);
      },
      () => this.making.delete(key),
    );
    return work;
  }

  private async make(plan: RiskPlan, target: RiskTarget): Promise<CertifiedRule> {
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
