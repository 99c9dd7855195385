import { afterEach, describe } from 'vitest';
import { BusHarness, type BusPlace } from './bus-harness.js';
import { deliveryContract } from './delivery.js';
import { electionContract } from './elections.js';
import { failureContract } from './failures.js';
import { processContract } from './processes.js';
import { stateContract } from './state.js';

/** What every adapter of the event bus must do. `place` is asked before each test. */
export function eventBusContract(name: string, place: () => BusPlace): void {
  const harness = new BusHarness(place);
  afterEach(() => harness.end());
  describe(`${name} bus, delivery`, () => {
    deliveryContract(harness);
  });
  describe(`${name} bus, failures`, () => {
    failureContract(harness);
  });
  describe(`${name} bus, state`, () => {
    stateContract(harness);
  });
  describe(`${name} bus, elections`, () => {
    electionContract(harness);
  });
  describe(`${name} bus, processes`, () => {
    processContract(harness);
  });
}
