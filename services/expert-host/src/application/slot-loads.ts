import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { collectGarbageSoon } from '@thalamus/lifecycle';
import { createLogger, histogram } from '@thalamus/telemetry';
import type { Departures } from './departures.js';
import type { ExpertOpener } from './expert-opener.js';
import { restAfter, type LoadRetries } from './load-retries.js';
import type { LoadTicket } from './load-rooms.js';
import { letGoOn, refuseWaiters } from './load-waiting.js';
import { NO_ROOM_RETRY_MS, type ResidencyBudget } from './residency-budget.js';
import type { ServedExpert } from './served-expert.js';
import type { Slot } from './slot.js';
import type { Slots } from './slots.js';
import type { UseClock } from './use-clock.js';

/** What a load goes through. */
export interface LoadParties {
  readonly slots: Slots;
  readonly opener: ExpertOpener;
  readonly budget: ResidencyBudget;
  readonly departures: Departures;
  readonly retries: LoadRetries;
  readonly uses: UseClock;
  /** Told of each version that has been loaded. */
  readonly onReady: (slot: Slot) => void;
}

/** One load of a version after the other: room is made, the version opened, and whoever waits is told how it ended. */
export class SlotLoads {
  private readonly loads = histogram(METRICS.loadDuration);
  private readonly logger = createLogger('slot-loads');

  constructor(private readonly parties: LoadParties) {}

  /** Loads a version, at the cost of others when it may or when somebody waits for it. Never rejects. */
  async load(slot: Slot, mayEvict: boolean): Promise<void> {
    const { slots, budget, opener, departures } = this.parties;
    const isWaitedFor = mayEvict || slot.waiters.size > 0;
    if (!isWaitedFor && !budget.hasRoomFor(slot)) return;
    slot.state = 'loading';
    slot.error = undefined;
    slots.tell(slot);
    const startedAt = performance.now();
    const ticket = budget.begin();
    // Asked for meanwhile, it may take the room of others; removed meanwhile, no more.
    const rooms = budget.roomsFor(ticket, () => !slot.isLeaving && (mayEvict || slot.waiters.size > 0));
    let error: ThalamusError | undefined;
    do {
      try {
        const served = await opener.open(slot.registered, rooms);
        error = undefined;
        slot.served = served;
        departures.arrived(slot);
        if (slot.isLeaving) await departures.release(slot);
        else this.hasLoaded(slot, served);
      } catch (fault) {
        error = toThalamusError(fault);
      }
    } while (error && (await this.mayTryAgain(slot, ticket, error)));
    ticket.end();
    const tookMs = performance.now() - startedAt;
    if (error) this.hasFailed(slot, error, tookMs);
    this.loads.record(tookMs / 1000, {
      [ATTRIBUTES.outcome]: error?.code ?? 'OK',
    });
  }

  /** Whether others that were loaded at the same time may have left it no room; resolves once one of them has ended. */
  private async mayTryAgain(slot: Slot, ticket: LoadTicket, { code }: ThalamusError): Promise<boolean> {
    if (code !== 'EXPERT_OVERLOADED' || slot.waiters.size === 0) return false;
    await this.parties.opener.letHeldGo();
    return this.parties.budget.again(ticket);
  }

  private hasLoaded(slot: Slot, { manifest, inputs, outputs, parameters }: ServedExpert): void {
    slot.state = 'ready';
    slot.description = { manifest, inputs, outputs, parameters };
    slot.lastUsedAt = performance.now();
    this.parties.uses.loaded(slot);
    letGoOn(slot);
    collectGarbageSoon();
    this.parties.retries.succeeded(slot);
    this.parties.slots.tell(slot);
    this.parties.onReady(slot);
  }

  private hasFailed(slot: Slot, error: ThalamusError, tookMs: number): void {
    slot.error = error;
    const isFull = error.code === 'EXPERT_OVERLOADED';
    slot.state = isFull ? 'registered' : 'failed';
    if (isFull) slot.refusedUntil = performance.now() + (slot.waiters.size > 0 ? NO_ROOM_RETRY_MS : 0);
    refuseWaiters(slot, isFull ? error : couldNotLoad(slot));
    const facts = { expert: slot.expert, version: slot.version, code: error.code, reason: error.message };
    if (isFull) this.logger.info(facts, 'expert stays registered, for want of room');
    else this.logger.error({ ...facts, error: error.cause }, 'expert could not be loaded');
    if (!isFull && error.spec.retryable) this.parties.retries.later(slot, restAfter(error, tookMs));
    this.parties.slots.tell(slot);
  }
}

/** What whoever asks for a version is told whose load has failed. */
export function couldNotLoad({ expert, version, error }: Slot): ThalamusError {
  return new ThalamusError(
    'EXPERT_NOT_READY',
    `${expert}@${version} could not be loaded: ${error?.message ?? ''}`,
    { metadata: { cause: error?.code ?? 'INTERNAL' } },
  );
}
