import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { TWIN_VALUES } from '../heads/twin-values.js';

/** The parent that a text is for, int64 [batch]: of the largest weight, the first of equals, unless `task` names one. */
export function writeParent(b: GraphBuilder, routed: ValueName, task: ValueName): ValueName {
  const zero = b.constant('zero', tensor('int64', [], BigInt64Array.of(0n)));
  const byRouter = b.node('ArgMax', [routed], { attributes: { axis: 1, keepdims: 0 } });
  return b.node('Where', [b.node('Less', [task, zero]), byRouter, task], { name: TWIN_VALUES.parent });
}

/** Whether no parent covers a text, bool [batch]: its largest weight, by the router's alone, is below a threshold. */
export function writeAbstain(b: GraphBuilder, routed: ValueName, below: number): ValueName {
  const least = b.constant('abstain_below', tensor('float32', [], Float32Array.of(below)));
  const axis = b.constant('abstain_axis', tensor('int64', [1], BigInt64Array.of(1n)));
  const heaviest = b.node('ReduceMax', [routed, axis], { attributes: { keepdims: 0 } });
  return b.node('Less', [heaviest, least], { name: TWIN_VALUES.abstain });
}
