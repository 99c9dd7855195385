import { MIXTURE_INPUTS, type GraphBuilder, type ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';

/** What a text's weights are made of. */
export interface WeightRule {
  readonly count: number;
  /** Most parents of a text; undefined: all. */
  readonly top?: number | undefined;
  /** float32 [groups, parents]: a text takes the nearest of these; undefined: its own. */
  readonly groups?: Float32Array | undefined;
}

/** Inputs of a mixture bound to values. */
export type MixtureBindings = Readonly<Record<string, ValueName>>;

/** From the router's weights [batch, parents] to those of the mixture: of a named task alone, of the nearest group, of the heaviest. */
export function writeWeights(
  b: GraphBuilder,
  { count, groups }: WeightRule,
  routed: ValueName,
  task: ValueName,
): ValueName {
  const ints = (name: string, values: number[], isScalar = false) =>
    b.constant(name, tensor('int64', isScalar ? [] : [values.length], BigInt64Array.from(values, BigInt)));
  const grouped = groups ? nearestGroup(b, groups, routed, count) : routed;
  const offOn = b.constant('off_on', tensor('float32', [2], Float32Array.of(0, 1)));
  const named = b.node('OneHot', [task, ints('parents', [count], true), offOn], { attributes: { axis: -1 } });
  const isOpen = b.node('Unsqueeze', [
    b.node('Less', [task, ints('none', [0], true)]),
    ints('open_axis', [1]),
  ]);
  return b.node('Where', [isOpen, grouped, named], { name: 'text_weights' });
}

/** Binds a mixture to weights float32 [batch, parents]: to all of them, or to the heaviest, which then sum to what all sum to. */
export function bindMixture(b: GraphBuilder, { top }: WeightRule, all: ValueName): MixtureBindings {
  if (top === undefined) return { [MIXTURE_INPUTS.weights]: all };
  const ints = (name: string, values: number[]) =>
    b.constant(name, tensor('int64', [values.length], BigInt64Array.from(values, BigInt)));
  const [values = '', heaviest = ''] = b.nodeWithOutputs(
    'TopK',
    [all, ints('top', [top])],
    ['top_weights', 'top_parents'],
    { attributes: { axis: -1 } },
  );
  const axis = ints('top_axis', [1]);
  const sumOf = (value: ValueName) => b.node('ReduceSum', [value, axis], { attributes: { keepdims: 1 } });
  // No weight at all, as in the shared expert alone, stays none.
  const least = b.constant('least_sum', tensor('float32', [], Float32Array.of(1e-12)));
  const scale = b.node('Div', [sumOf(all), b.node('Max', [sumOf(values), least])]);
  const shares = b.node('Mul', [values, scale]);
  const nothing = b.node('Sub', [all, all]);
  const kept = b.node('ScatterElements', [nothing, heaviest, shares], { attributes: { axis: 1 } });
  return { [MIXTURE_INPUTS.weights]: kept, [MIXTURE_INPUTS.top]: heaviest };
}

/** The group of least squared distance: largest 2 w·c - c·c. */
function nearestGroup(b: GraphBuilder, groups: Float32Array, routed: ValueName, count: number): ValueName {
  const size = groups.length / count;
  const twice = new Float32Array(groups.length);
  const norms = new Float32Array(size);
  for (let group = 0; group < size; group++)
    for (let k = 0; k < count; k++) {
      const value = groups[group * count + k]!;
      twice[k * size + group] = 2 * value;
      norms[group]! -= value * value;
    }
  const product = b.node('MatMul', [
    routed,
    b.constant('groups_twice', tensor('float32', [count, size], twice)),
  ]);
  const nearness = b.node('Add', [product, b.constant('groups_norms', tensor('float32', [size], norms))]);
  const nearest = b.node('ArgMax', [nearness], { attributes: { axis: 1, keepdims: 0 } });
  const table = b.constant('groups', tensor('float32', [size, count], groups));
  return b.node('Gather', [table, nearest], { attributes: { axis: 0 } });
}
