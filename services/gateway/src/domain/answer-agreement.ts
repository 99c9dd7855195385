import { bestLabels, type inference } from '@thalamus/contracts';

/** Least cosine of two vectors of one text that are the same answer. */
const LEAST_COSINE = 0.99;
const EMBEDDING = 'embedding';
const FLOAT = 'FP32';

/** What of an answer of a host is compared; `modelInfer` gives it. */
export type HostAnswer = Pick<inference.ModelInferResponse, 'outputs' | 'rawOutputContents'>;

/** Whether two versions answered alike. */
export interface Agreement {
  readonly agree: boolean;
  /** Labels of the one text that was classified; empty for several texts, and for tasks without labels. */
  readonly stableLabel: string;
  readonly candidateLabel: string;
}

/**
 * Whether a candidate gave the answer of the stable version. Labels: the best one of every text is the same, in whatever order the
 * versions list them. Vectors of embeddings: a cosine of 0.99 at least. Other numbers: the same shape, with the greatest number at
 * the same place in every row. All else: the same bytes.
 */
export function agreementOf(stable: HostAnswer, candidate: HostAnswer): Agreement {
  const [before, after] = [bestLabels(stable), bestLabels(candidate)];
  const labels = {
    stableLabel: onlyOf(before),
    candidateLabel: onlyOf(after),
  };
  const agree =
    before && after
      ? before.length === after.length && before.every((label, row) => label === after[row])
      : haveSameOutputs(stable, candidate);
  return { agree, ...labels };
}

/** The label of the one text that an answer classifies; empty for several texts, and for tasks without labels. */
export function labelOf(answer: HostAnswer): string {
  return onlyOf(bestLabels(answer));
}

function onlyOf(labels: readonly string[] | undefined): string {
  return labels?.length === 1 ? (labels[0] ?? '') : '';
}

function haveSameOutputs(stable: HostAnswer, candidate: HostAnswer): boolean {
  if (stable.outputs.length !== candidate.outputs.length) return false;
  return stable.outputs.every((output, index) => {
    const at = candidate.outputs.findIndex(({ name }) => name === output.name);
    const other = candidate.outputs[at];
    const [before, after] = [stable.rawOutputContents[index], candidate.rawOutputContents[at]];
    if (!other || !before || !after || other.datatype !== output.datatype) return false;
    if (String(other.shape) !== String(output.shape)) return false;
    if (output.datatype !== FLOAT || output.shape.length === 0) return Buffer.compare(before, after) === 0;
    const width = Number(output.shape.at(-1));
    const [rows, others] = [rowsOf(floatsOf(before), width), rowsOf(floatsOf(after), width)];
    const isSame = output.name === EMBEDDING ? isNear : hasSameGreatest;
    return rows.every((row, number) => isSame(row, others[number] ?? new Float32Array()));
  });
}

function floatsOf(raw: Uint8Array): Float32Array {
  return new Float32Array(new Uint8Array(raw).buffer);
}

function rowsOf(values: Float32Array, width: number): Float32Array[] {
  if (width === 0) return [];
  return Array.from({ length: Math.floor(values.length / width) }, (_, row) =>
    values.subarray(row * width, (row + 1) * width),
  );
}

function greatestOf(row: Float32Array): number {
  let best = 0;
  for (let at = 1; at < row.length; at++) if ((row[at] ?? 0) > (row[best] ?? 0)) best = at;
  return best;
}

const hasSameGreatest = (a: Float32Array, b: Float32Array) => greatestOf(a) === greatestOf(b);

/** Vectors without length are near to such alone. */
function isNear(a: Float32Array, b: Float32Array): boolean {
  let [product, lengthA, lengthB] = [0, 0, 0];
  for (let at = 0; at < a.length; at++) {
    const [x, y] = [a[at] ?? 0, b[at] ?? 0];
    product += x * y;
    lengthA += x * x;
    lengthB += y * y;
  }
  if (lengthA === 0 || lengthB === 0) return lengthA === lengthB;
  return product >= LEAST_COSINE * Math.sqrt(lengthA * lengthB);
}
