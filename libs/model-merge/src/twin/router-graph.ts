import { halves, type GraphBuilder, type ValueName } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { PAIR_FACTORS, type TokenRouter } from './token-router.js';

/** Names of the router's values in a graph; names of experts never begin with an underscore. */
const PREFIX = '_router/';

/**
 * Writes what a router makes of tokens: float32 [batch, parents], as `routerLogits` without the vector's part and the sharpness.
 * Tables are stored as float16. `ids` and `mask` are int64 [batch, sequence].
 */
export function writeTokenLogits(
  b: GraphBuilder,
  router: TokenRouter,
  { ids, mask }: { readonly ids: ValueName; readonly mask: ValueName },
): ValueName {
  const { parents, vocabulary, buckets } = router;
  const ints = (name: string, values: readonly number[], isScalar = false) =>
    b.constant(
      `${PREFIX}${name}`,
      tensor('int64', isScalar ? [] : [values.length], BigInt64Array.from(values, BigInt)),
    );
  const one = b.constant(`${PREFIX}one`, tensor('float32', [], Float32Array.of(1)));
  const [axis1, axis2] = [ints('axis_1', [1]), ints('axis_2', [2])];
  const attended = b.node('Cast', [mask], { attributes: { to: 1 } });
  const count = b.node('Max', [b.node('ReduceSum', [attended, axis1], { attributes: { keepdims: 1 } }), one]);
  const root = b.node('Sqrt', [count]);
  /** Sum over attended places of rows of a table. */
  const sum = (name: string, table: Float32Array, width: number, at: ValueName, kept: ValueName) => {
    const stored = b.constant(
      `${PREFIX}${name}`,
      halves(tensor('float32', [table.length / width, width], table)),
    );
    const rows = b.node('Cast', [b.node('Gather', [stored, at], { attributes: { axis: 0 } })], {
      attributes: { to: 1 },
    });
    const weighed = b.node('Mul', [rows, b.node('Unsqueeze', [kept, axis2])]);
    return b.node('ReduceSum', [weighed, axis1], { attributes: { keepdims: 0 } });
  };
  // Words and means stand side by side, so that their rows are gathered once.
  const both = new Float32Array(vocabulary * 2 * parents);
  for (let id = 0; id < vocabulary; id++) {
    both.set(router.words.subarray(id * parents, (id + 1) * parents), id * 2 * parents);
    both.set(router.means.subarray(id * parents, (id + 1) * parents), (id * 2 + 1) * parents);
  }
  const halvesOfRows = ints('halves', [parents, parents]);
  const [words = '', means = ''] = b.nodeWithOutputs(
    'Split',
    [sum('tokens', both, 2 * parents, ids, attended), halvesOfRows],
    [`${PREFIX}words`, `${PREFIX}means`],
    { attributes: { axis: -1 } },
  );
  const slice = (value: ValueName, from: number, to: number) =>
    b.node('Slice', [value, ints('from', [from]), ints('to', [to]), axis1]);
  const END = 2 ** 31 - 1;
  const place = (value: ValueName, factor: number) => b.node('Mul', [value, ints('factor', [factor], true)]);
  const bucket = b.node('Mod', [
    b.node('Add', [
      place(slice(ids, 0, -1), PAIR_FACTORS.first),
      place(slice(ids, 1, END), PAIR_FACTORS.second),
    ]),
    ints('buckets', [buckets], true),
  ]);
  const pairs = sum('pairs', router.pairs, parents, bucket, slice(attended, 1, END));
  const bias = b.constant(`${PREFIX}bias`, tensor('float32', [parents], router.bias));
  const counted = b.node('Div', [b.node('Add', [words, pairs]), root]);
  return b.node('Add', [b.node('Add', [counted, b.node('Div', [means, count])]), bias], {
    name: `${PREFIX}token_logits`,
  });
}

/** Adds the part of the shared expert's vector [batch, width], if the router reads one, and sharpens: logits [batch, parents]. */
export function writeRouterLogits(
  b: GraphBuilder,
  router: TokenRouter,
  tokenLogits: ValueName,
  vector: ValueName | undefined,
): ValueName {
  const sharpness = b.constant(
    `${PREFIX}sharpness`,
    tensor('float32', [], Float32Array.of(router.sharpness)),
  );
  if (!router.vector || vector === undefined) return b.node('Mul', [tokenLogits, sharpness]);
  const width = router.vector.length / router.parents;
  const matrix = b.constant(`${PREFIX}vector`, tensor('float32', [width, router.parents], router.vector));
  const sum = b.node('Add', [tokenLogits, b.node('MatMul', [vector, matrix])]);
  return b.node('Mul', [sum, sharpness]);
}
