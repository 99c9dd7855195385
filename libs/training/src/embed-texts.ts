/** What turns texts into vectors: `TextEncoder` of `@thalamus/inference`, or a fake. */
export interface BatchEncoder {
  encode(texts: readonly string[]): Promise<{ readonly embeddings: Float32Array; readonly width: number }>;
}

/** Vectors of texts, float32 [texts, width], row-major, in the order of the texts. */
export interface EmbeddedTexts {
  readonly features: Float32Array;
  readonly width: number;
}

/** How texts are embedded. */
export interface EmbedOptions {
  /** Texts of one batch. Default 16. Another size may change the last bits of the result. */
  readonly batchSize?: number;
  /** What an earlier run has encoded, in encoding order; whole batches of it are not encoded again. */
  readonly resume?: EmbeddedTexts;
  /** Told after each batch how many texts are done; `encoded` holds them in encoding order: hand it to `resume`. */
  readonly onBatch?: (done: number, encoded: EmbeddedTexts) => void | Promise<void>;
}

/**
 * Embeds many texts, shortest first, so that batches hold texts of like length and little is spent on padding.
 * Deterministic: the same texts, encoder and batch size give the same bits, also after a resumption.
 */
export async function embedTexts(
  encoder: BatchEncoder,
  texts: readonly string[],
  options: EmbedOptions = {},
): Promise<EmbeddedTexts> {
  const batchSize = options.batchSize ?? 16;
  const order = Array.from(texts.keys()).sort((a, b) => (texts[a]?.length ?? 0) - (texts[b]?.length ?? 0));
  const first = options.resume ? wholeBatches(options.resume, texts.length, batchSize) : 0;
  let width = first > 0 ? (options.resume?.width ?? 0) : 0;
  let encoded = new Float32Array(texts.length * width);
  if (first > 0) encoded.set(options.resume?.features.subarray(0, first * width) ?? []);
  for (let from = first; from < order.length; from += batchSize) {
    const rows = order.slice(from, from + batchSize);
    const batch = await encoder.encode(rows.map((row) => texts[row] ?? ''));
    if (width === 0) {
      width = batch.width;
      encoded = new Float32Array(texts.length * width);
    }
    encoded.set(batch.embeddings.subarray(0, rows.length * width), from * width);
    const done = from + rows.length;
    await options.onBatch?.(done, { features: encoded.subarray(0, done * width), width });
  }
  const features = new Float32Array(encoded.length);
  order.forEach((row, at) => {
    features.set(encoded.subarray(at * width, (at + 1) * width), row * width);
  });
  return { features, width };
}

/** Texts of a resumption that can be kept: batches are never cut, so that padding is as it would have been. */
function wholeBatches({ features, width }: EmbeddedTexts, total: number, batchSize: number): number {
  const done = width === 0 ? 0 : Math.floor(features.length / width);
  return done >= total ? total : done - (done % batchSize);
}
