import type { Weighing } from './composition-types.js';

interface WireOutput {
  readonly name: string;
  readonly data: readonly (string | number | boolean)[];
}

/** The question to a composed expert in the Open Inference Protocol: one text. */
export function weighQuestion(text: string) {
  return { inputs: [{ name: 'text', datatype: 'BYTES', shape: [1], data: [text] }] };
}

/** Reads what it answers. @throws TypeError for an answer without weights, as an expert that is no composition gives */
export function readWeighing(wire: unknown): Weighing {
  const { outputs } = wire as { outputs: readonly WireOutput[] };
  const data = (name: string) => outputs.find((output) => output.name === name)?.data;
  const weights = data('router_weights');
  // A masked language model says words, the best of the first mask first.
  const [label] = data('label') ?? data('token_str') ?? [];
  if (!weights || weights.length === 0 || label === undefined)
    throw new TypeError('It answered without weights: it is no composition, or its host is too old.');
  const [abstains] = data('abstain') ?? [];
  return {
    weights: weights.map(Number),
    parent: String(data('parent')?.[0] ?? ''),
    label: String(label),
    score: Number(data('score')?.[0]),
    abstains: abstains === undefined ? undefined : Boolean(abstains),
  };
}
