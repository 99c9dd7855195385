import { createRandom } from '@thalamus/tensor';
import { mixSeed } from './mix-seed.js';

/** How rows are put into batches. */
export interface BatchOptions {
  /** Most positions of a batch, padding included; a longer row is a batch of its own. */
  readonly tokensPerBatch: number;
  /** Most rows of a batch. */
  readonly rowsPerBatch: number;
  readonly seed: number;
  /** Pass over the data, from 0: each has another order. */
  readonly epoch: number;
}

/** Batches that are sorted together, so that padding is little and every pass differs. */
const BATCHES_PER_POOL = 24;

/**
 * Row numbers by batch. Rows are shuffled, cut into pools, sorted by length within a pool, cut into batches by rows and by
 * padded tokens, and the batches are shuffled again. The order is a function of seed and pass alone.
 */
export function trainingBatches(lengths: readonly number[], options: BatchOptions): number[][] {
  const { rowsPerBatch, seed, epoch } = options;
  const random = createRandom(mixSeed(seed, epoch));
  const order = random.shuffle(Array.from(lengths.keys()));
  const batches: number[][] = [];
  const poolSize = rowsPerBatch * BATCHES_PER_POOL;
  for (let from = 0; from < order.length; from += poolSize) {
    const pool = order.slice(from, from + poolSize);
    // Equal lengths keep their shuffled order: sorting is stable.
    pool.sort((a, b) => lengths[a]! - lengths[b]!);
    batches.push(...cutByTokens(pool, lengths, options));
  }
  return random.shuffle(batches);
}

/** Batches for measuring: shortest first, no shuffling. */
export function evaluationBatches(
  lengths: readonly number[],
  limits: Pick<BatchOptions, 'tokensPerBatch' | 'rowsPerBatch'>,
): number[][] {
  const order = Array.from(lengths.keys()).sort((a, b) => lengths[a]! - lengths[b]!);
  return cutByTokens(order, lengths, limits);
}

function cutByTokens(
  rows: readonly number[],
  lengths: readonly number[],
  { tokensPerBatch, rowsPerBatch }: Pick<BatchOptions, 'tokensPerBatch' | 'rowsPerBatch'>,
): number[][] {
  const batches: number[][] = [];
  let batch: number[] = [];
  let longest = 0;
  for (const row of rows) {
    const widened = Math.max(longest, lengths[row]!);
    const isFull = batch.length >= rowsPerBatch || widened * (batch.length + 1) > tokensPerBatch;
    if (batch.length > 0 && isFull) {
      batches.push(batch);
      batch = [];
      longest = 0;
    }
    batch.push(row);
    longest = Math.max(longest, lengths[row]!);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
