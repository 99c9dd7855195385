import type { PooledProcess } from '@thalamus/inference';
import { charged, MemoryExpectations, PROCESS_BYTES, type ExpectedMemory } from '../domain/memory-charge.js';

/** Inference processes as they are now. */
export interface MeasuredProcesses {
  readonly processes: readonly PooledProcess[];
  /** Resident memory of a process that waits for a model, bytes. */
  readonly spareBytes: number;
  /** Ends it, if there is one. */
  endSpare(): void;
  /** Ends second processes of busy models. */
  endRelief(): void;
}

/** How many bytes count against the memory limit for what runs in a process. */
export interface MemoryCount {
  /** Bytes of a process by its name, in which so many bytes of weights are open. */
  charge(name: string, weightBytes: number): number;
  /** What a process will need that so many bytes of weights are loaded in. */
  expect(name: string, weightBytes: number): ExpectedMemory;
  /** Bytes of a process that waits for a model, which the next one takes. */
  readonly spareBytes: number;
  /** Bytes that such a process will have, before there is one. */
  readonly nextSpareBytes: number;
  endSpare(): void;
  /** Bytes of second processes of busy models, which end when their memory is needed. */
  readonly reliefBytes: number;
  endRelief(): void;
  /** Looks at the processes. */
  measure(): void;
  /** A process was loaded with so many bytes of weights. */
  loaded(name: string, weightBytes: number): void;
}

/** Weights count, and nothing else. */
export const COUNT_WEIGHTS: MemoryCount = {
  charge: (_name, weightBytes) => weightBytes,
  expect: (_name, weightBytes) => ({ likely: weightBytes, least: weightBytes }),
  spareBytes: 0,
  nextSpareBytes: 0,
  endSpare: () => undefined,
  reliefBytes: 0,
  endRelief: () => undefined,
  measure: () => undefined,
  loaded: () => undefined,
};

/** Resident memory of all processes that a model has counts: code and libraries, weights in every form, arenas, and what runs left behind. */
export class ResidentCount implements MemoryCount {
  readonly nextSpareBytes = PROCESS_BYTES;
  private readonly expectations = new MemoryExpectations();
  private charges = new Map<string, number>();

  constructor(private readonly measured: MeasuredProcesses) {}

  get spareBytes(): number {
    return this.measured.spareBytes;
  }

  endSpare(): void {
    this.measured.endSpare();
  }

  get reliefBytes(): number {
    const relief = this.measured.processes.filter(({ isRelief }) => isRelief);
    return relief.reduce((sum, { residentBytes = 0 }) => sum + residentBytes, 0);
  }

  endRelief(): void {
    this.measured.endRelief();
  }

  charge(name: string, weightBytes: number): number {
    return Math.max(weightBytes, this.charges.get(name) ?? 0);
  }

  expect(name: string, weightBytes: number): ExpectedMemory {
    return this.expectations.expect(name, weightBytes);
  }

  measure(): void {
    const charges = new Map<string, number>();
    for (const [name, processes] of Map.groupBy(this.lasting(), (process) => process.name)) {
      const before = this.charges.get(name);
      const measured = processes.reduce((sum, { residentBytes = 0 }) => sum + residentBytes, 0);
      const isWhole = processes.every(({ residentBytes }) => residentBytes !== undefined);
      // One that is started again will soon have what it had.
      charges.set(name, charged(before, isWhole ? measured : Math.max(measured, before ?? 0), 0));
    }
    this.charges = charges;
  }

  loaded(name: string, weightBytes: number): void {
    const found = this.measured.processes.find((process) => process.name === name);
    if (found?.residentBytes !== undefined) this.expectations.loaded(name, weightBytes, found.residentBytes);
    this.measure();
  }

  private lasting(): PooledProcess[] {
    return this.measured.processes.filter(({ isRelief }) => !isRelief);
  }
}
