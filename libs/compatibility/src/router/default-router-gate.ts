import type { GateDocument } from '../gate/gate-document.js';
import { parseGate } from '../gate/parse-gate.js';

/**
 * The gate of router models where none is named. `thalamus release gate show --kind router` prints it, to be changed and kept. Two
 * router models that were fitted to the same table and differ by seed alone change 12 to 17 % of the choices and give up 1 to 2 % of the good ones.
 */
export const DEFAULT_ROUTER_GATE_TEXT = `# Rules that a router model must pass before it decides in the place of another.
version: 1
name: default-router
description: No more loss than before, few good choices given up, no kind of prompt that collapses.
level: 0.05
rules:
  # Loss of its choices above those of the model before, in the unit of its losses: all of the interval.
  - { name: no-more-loss, measure: regret, data: router, threshold: 0.02, minimumSamples: 300 }

  # Prompts whose choice was as good as the best one and is not now.
  - { name: few-negative-flips, measure: nfr, data: router, threshold: 0.05, minimumSamples: 300 }
  - { name: no-broken-slice, measure: nfr, slice: each, data: router, threshold: 0.15, proof: harm, minimumSamples: 20 }

  # Prompts that go elsewhere: their callers see another expert, be it as good.
  - { name: few-changed-choices, measure: changedChoices, data: router, threshold: 0.3, proof: harm, minimumSamples: 300 }
`;

/** The same, read. */
export function defaultRouterGate(): GateDocument {
  return parseGate(DEFAULT_ROUTER_GATE_TEXT, 'the default gate of router models');
}
