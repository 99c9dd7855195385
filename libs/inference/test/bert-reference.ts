import type { BertConfig, Weights } from '@thalamus/onnx-graph';

type Matrix = number[][];

/**
 * A BERT encoder by the formulas of Devlin et al. 2018 and Vaswani et al. 2017, in double precision, one text at a time:
 * an independent oracle. Returns the mean of the last hidden states and that mean over its L2 norm.
 */
export function referenceEmbedding(
  config: BertConfig,
  weights: Weights,
  ids: readonly number[],
): { pooled: number[]; embedding: number[] } {
  const tensorOf = (name: string) => weights.get(name)!;
  const rowOf = (name: string, row: number) => {
    const { data, shape } = tensorOf(name);
    return [...data.subarray(row * shape[1]!, (row + 1) * shape[1]!)];
  };
  /** x W^T + b, as torch.nn.Linear. */
  const linear = (name: string, input: Matrix): Matrix => {
    const { shape } = tensorOf(`${name}.weight`);
    const bias = tensorOf(`${name}.bias`).data;
    return input.map((x) =>
      Array.from({ length: shape[0]! }, (_, out) => bias[out]! + dot(x, rowOf(`${name}.weight`, out))),
    );
  };
  const norm = (name: string, input: Matrix): Matrix => {
    const [gain, shift] = [
      tensorOf(`${name}.LayerNorm.weight`).data,
      tensorOf(`${name}.LayerNorm.bias`).data,
    ];
    return input.map((x) => {
      const mean = sum(x) / x.length;
      const variance = sum(x.map((value) => (value - mean) ** 2)) / x.length;
      return x.map(
        (value, i) => ((value - mean) / Math.sqrt(variance + config.layerNormEpsilon)) * gain[i]! + shift[i]!,
      );
    });
  };
  const size = config.hiddenSize / config.heads;
  const attend = (layer: string, input: Matrix): Matrix => {
    const [query, key, value] = ['query', 'key', 'value'].map((part) =>
      linear(`${layer}.attention.self.${part}`, input),
    ) as [Matrix, Matrix, Matrix];
    const mixed = input.map((_, position) =>
      Array.from({ length: config.heads }, (_head, head) => {
        const cut = (x: number[]) => x.slice(head * size, (head + 1) * size);
        const scores = key.map((k) => dot(cut(query[position]!), cut(k)) / Math.sqrt(size));
        const exponentials = scores.map((score) => Math.exp(score - Math.max(...scores)));
        const total = sum(exponentials);
        return Array.from({ length: size }, (_value, j) =>
          sum(value.map((v, other) => (exponentials[other]! / total) * cut(v)[j]!)),
        );
      }).flat(),
    );
    return linear(`${layer}.attention.output.dense`, mixed);
  };
  let hidden = norm(
    'embeddings',
    ids.map((id, position) =>
      add(
        add(
          rowOf('embeddings.word_embeddings.weight', id),
          rowOf('embeddings.position_embeddings.weight', position),
        ),
        rowOf('embeddings.token_type_embeddings.weight', 0),
      ),
    ),
  );
  for (let index = 0; index < config.layers; index++) {
    const layer = `encoder.layer.${index}`;
    const middle = norm(`${layer}.attention.output`, addRows(attend(layer, hidden), hidden));
    const inner = linear(`${layer}.intermediate.dense`, middle).map((row) => row.map(gelu));
    hidden = norm(`${layer}.output`, addRows(linear(`${layer}.output.dense`, inner), middle));
  }
  const pooled = hidden[0]!.map((_, i) => sum(hidden.map((row) => row[i]!)) / hidden.length);
  const length = Math.sqrt(dot(pooled, pooled));
  return { pooled, embedding: pooled.map((value) => value / length) };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const dot = (a: readonly number[], b: readonly number[]) => sum(a.map((value, i) => value * b[i]!));
const add = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value + b[i]!);
const addRows = (a: Matrix, b: Matrix) => a.map((row, i) => add(row, b[i]!));
const gelu = (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2));

/** erf by its Maclaurin series, and 1 where it differs from 1 by less than 1e-16. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(total); n++) {
    term *= -(x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}
