import type { GradientTape } from '../gradient-tape.js';
import { wrap } from '../infer-shapes.js';
import { intAttribute, intsAttribute, type GraphNode } from '../node-facts.js';
import type { GradientRule } from './elementwise.js';

/** The gradient has the elements of the output; they go back to the input's shape. */
const reshapeBack: GradientRule = (node, gradient, tape) => {
  const [x = ''] = node.input;
  tape.add(x, tape.op('Reshape', [gradient, tape.shape(x)]));
};

/** Rules of operators that move, repeat or join elements. */
export const STRUCTURE_RULES: Readonly<Record<string, GradientRule>> = {
  Reshape: reshapeBack,
  Unsqueeze: reshapeBack,
  Squeeze: reshapeBack,
  Flatten: reshapeBack,
  Expand: (node, gradient, tape) => {
    tape.addBroadcast(node.input[0] ?? '', gradient, node.output[0] ?? '');
  },
  Transpose: (node, gradient, tape) => {
    const [x = ''] = node.input;
    const perm = intsAttribute(node, 'perm');
    if (!perm) tape.add(x, tape.op('Transpose', [gradient]));
    else {
      const inverse = perm.map((_, axis) => perm.indexOf(axis));
      tape.add(x, tape.op('Transpose', [gradient], { perm: inverse }));
    }
  },
  Concat: (node, gradient, t) => {
    const axis = wrap(intAttribute(node, 'axis', 0), t.rank(node.input[0] ?? '', node));
    let from = t.ints(0);
    for (const input of node.input) {
      const size = t.op('Gather', [t.shape(input), t.ints(axis)]);
      const to = t.op('Add', [from, size]);
      if (t.wants(input)) t.add(input, t.op('Slice', [gradient, from, to, t.ints(axis)]));
      from = to;
    }
  },
};

/** Split: the gradients of the parts side by side; zeros for parts that nothing uses. */
export function splitRule(
  node: GraphNode,
  gradients: readonly (string | undefined)[],
  tape: GradientTape,
): void {
  const parts = node.output.map((output, at) => gradients[at] ?? tape.zerosLike(output));
  const axis = intAttribute(node, 'axis', 0);
  tape.add(node.input[0] ?? '', tape.op('Concat', parts, { axis }));
}
