import type { GateDocument } from './gate-document.js';
import { parseGate } from './parse-gate.js';

/** The gate where none is named. `thalamus release gate show` prints it, to be changed and kept. */
export const DEFAULT_GATE_TEXT = `# Rules that an update must pass before callers get it.
version: 1
name: default
description: No breaking contract, no more than 2 % of what worked broken, no slice that collapses, nothing worse live.
level: 0.05
rules:
  # What callers rely on besides answers. An override with a reason settles it.
  - { name: contract, measure: breakingDifferences, data: contract, threshold: 0 }

  # Items with known answers, compared before anybody gets the update.
  - { name: few-negative-flips, measure: nfr, data: offline, threshold: 0.02, minimumSamples: 300 }
  - { name: no-lower-accuracy, measure: accuracyDifference, data: offline, threshold: -0.01, proof: harm, minimumSamples: 300 }
  - { name: no-broken-slice, measure: nfr, slice: each, data: offline, threshold: 0.05, proof: harm, minimumSamples: 20 }

  # Mirrored requests: callers see nothing of them.
  - { name: mirrored-answers, measure: disagreement, data: shadow, threshold: 0.1, proof: harm, minimumSamples: 300, level: 0.01 }
  - { name: mirrored-errors, measure: errorRate, data: shadow, threshold: 0.01, proof: harm, minimumSamples: 300, level: 0.01 }
  - { name: mirrored-latency, measure: slower, data: shadow, threshold: 0.5, proof: harm, minimumSamples: 100, level: 0.01 }
  - { name: mirrored-tail, measure: slowTail, data: shadow, threshold: 0.15, proof: harm, minimumSamples: 100, level: 0.01 }
  - { name: memory, measure: memoryRatio, data: shadow, threshold: 1.25 }

  # Part of the traffic.
  - { name: canary-errors, measure: errorRate, data: canary, threshold: 0.01, proof: harm, minimumSamples: 300, level: 0.01 }
  - { name: canary-latency, measure: slower, data: canary, threshold: 0.5, proof: harm, minimumSamples: 100, level: 0.01 }
  - { name: canary-tail, measure: slowTail, data: canary, threshold: 0.15, proof: harm, minimumSamples: 100, level: 0.01 }
  - { name: canary-feedback, measure: worse, data: canary, threshold: 0.5, proof: harm, level: 0.01 }
`;

/** The same, read. */
export function defaultGate(): GateDocument {
  return parseGate(DEFAULT_GATE_TEXT, 'the default gate');
}
