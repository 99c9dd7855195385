import type { registryV1 } from '@thalamus/contracts';
import type { ThalamusError } from '@thalamus/errors';
import { NEVER_USED } from '../domain/recent-use.js';
import type { ServedExpert } from './served-expert.js';

/** Where a version stands on this host. A registered one is not loaded: the first request that asks for it loads it. */
export type SlotState = 'registered' | 'loading' | 'ready' | 'draining' | 'failed';

/** What is said of a version that was loaded once. */
export type ServedDescription = Pick<ServedExpert, 'manifest' | 'inputs' | 'outputs' | 'parameters'>;

/** A request that waits for a version to be loaded. */
export interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: ThalamusError) => void;
}

/** A version and its state. */
export interface Slot {
  readonly expert: string;
  readonly version: string;
  /** As the registry has it. */
  readonly registered: registryV1.ExpertVersion;
  state: SlotState;
  served: ServedExpert | undefined;
  /** What is said of it, also after it was let go; undefined before it is first loaded. */
  description: ServedDescription | undefined;
  /** Why loading failed, or why it could not be loaded when it was last asked for. */
  error: ThalamusError | undefined;
  /** Requests that it is answering now. */
  inFlight: number;
  /** Told when the last of them has ended. */
  onIdle: (() => void) | undefined;
  /** When its last request began or ended, on the clock of `performance`; 0 before the first. */
  lastUsedAt: number;
  /** How much it was asked for lately, as `UseClock` counts; it stays when the version is let go to make room. */
  worth: number;
  /** Whether any request has asked for it. */
  wasAsked: boolean;
  /** Requests that wait until it is loaded. */
  readonly waiters: Set<Waiter>;
  /** Nobody wants it any more: it goes for good. */
  isLeaving: boolean;
  /** Until when nobody tries to load it again, on the clock of `performance`, since there was no room for it. */
  refusedUntil: number;
}

/** How a version stands beside the others of its host. */
export interface SlotStanding {
  /** Never let go to make room. */
  readonly isPinned: boolean;
  /** Lower ones are let go first. */
  readonly priority: number;
  /** Name of the inference process that it runs in; empty while it is not loaded. */
  readonly process: string;
}

/** expert@version */
export function keyOf(slot: { readonly expert: string; readonly version: string }): string {
  return `${slot.expert}@${slot.version}`;
}

export function newSlot(registered: registryV1.ExpertVersion): Slot {
  return {
    expert: registered.expert,
    version: registered.version,
    registered,
    state: 'registered',
    served: undefined,
    description: undefined,
    error: undefined,
    inFlight: 0,
    onIdle: undefined,
    lastUsedAt: 0,
    worth: NEVER_USED,
    wasAsked: false,
    waiters: new Set(),
    isLeaving: false,
    refusedUntil: 0,
  };
}
