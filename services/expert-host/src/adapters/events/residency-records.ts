import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { eventsV1 } from '@thalamus/contracts';
import type { PooledProcess } from '@thalamus/inference';
import type { Slot, SlotStanding } from '../../application/slot.js';

/** What a host counts and has in memory; bytes, and counts since it started. */
export interface HostFacts {
  readonly limitBytes: number;
  readonly residentBytes: { readonly own: number; readonly shared: number };
  readonly loadsWaiting: number;
  readonly runsWaiting: number;
  readonly restarts: number;
  readonly recycles: number;
  readonly evictions: number;
  readonly processes: readonly PooledProcess[];
  /** Resident bytes of the process that waits for a model. */
  readonly spareBytes: number;
}

type Residency = MessageInitShape<typeof eventsV1.HostResidencySchema>;
type Memory = MessageInitShape<typeof eventsV1.HostMemorySchema>;

/** The part of a record that is of one version. */
export function versionPart(slot: Slot, { isPinned, priority, process }: SlotStanding): Residency {
  const { expert, version, state, served, error, wasAsked, lastUsedAt, waiters } = slot;
  return {
    expert,
    version,
    state,
    memoryBytes: BigInt(served?.memoryBytes ?? 0),
    ownBytes: BigInt(served?.ownBytes ?? 0),
    errorCode: error?.code ?? '',
    pinned: isPinned,
    priority,
    ...(wasAsked && lastUsedAt > 0
      ? { lastUsedAt: timestampFromMs(Math.round(performance.timeOrigin + lastUsedAt)) }
      : {}),
    process,
    waiting: waiters.size,
  };
}

/** The part of a record that is of the host itself. */
export function memoryPart(facts: HostFacts, startedAtMs: number): Memory {
  return {
    limitBytes: BigInt(facts.limitBytes),
    ownBytes: BigInt(facts.residentBytes.own),
    sharedBytes: BigInt(facts.residentBytes.shared),
    loadsWaiting: facts.loadsWaiting,
    runsWaiting: facts.runsWaiting,
    restarts: BigInt(facts.restarts),
    recycles: BigInt(facts.recycles),
    evictions: BigInt(facts.evictions),
    processes: facts.processes.map(({ name, pid, openBytes, residentBytes }) => ({
      name,
      pid: pid ?? 0,
      openBytes: BigInt(openBytes),
      residentBytes: BigInt(residentBytes ?? 0),
    })),
    spareBytes: BigInt(facts.spareBytes),
    startedAt: timestampFromMs(startedAtMs),
  };
}
