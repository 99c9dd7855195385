import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import {
  JUDGING_WINDOW_TOKENS,
  MASKED_LOG_LOSS,
  measureMaskedLm,
  openMaskedLm,
  requireMask,
  textWindows,
  writeWhole,
} from '@thalamus/training';
import { createOutput } from '../output.js';
import { localTools, openLocalBase } from '../training/local-tools.js';
import { readLinesOf } from '../training/read-lines.js';
import { RunView } from '../training/run-view.js';

/** Options of `experts evaluate FOLDER` for a masked language model. */
export interface TextEvaluateOptions {
  readonly json: boolean;
  readonly data: string;
  readonly base?: string | undefined;
  readonly predictions?: string | undefined;
  readonly threads?: number | undefined;
}

/**
 * Measures a masked language model on the texts of a JSONL file: windows of 128 tokens, four disjoint masks that are the same for
 * every model. With `predictions` the sums of each window go to a file, in order.
 * @throws DATASET_INVALID, BUNDLE_INVALID for a bundle over another base, METHOD_UNSUPPORTED
 */
export async function evaluateTextsLocal(
  bundle: OpenedBundle<ExpertManifest>,
  options: TextEvaluateOptions,
): Promise<void> {
  const { lines } = readLinesOf(options.data);
  const tools = localTools(options.threads);
  const view = new RunView(options.json, undefined);
  try {
    const base = await openLocalBase(options.base, tools);
    const windows = await textWindows(base, lines, JUDGING_WINDOW_TOKENS);
    const model = await openMaskedLm(bundle, base, requireMask(base));
    const { pieces, loss, file } = await measureMaskedLm(model, windows, (done) => {
      view.progress({ stage: 'measuring', done, total: windows.length });
    });
    view.end();
    await model.release();
    if (options.predictions !== undefined)
      await writeWhole(options.predictions, new TextEncoder().encode(file));
    const { name, kind } = bundle.manifest;
    const answer = { n: windows.length, pieces, [MASKED_LOG_LOSS]: loss, perplexity: Math.exp(loss) };
    createOutput(options.json).answer(answer, () => [
      `${name}, ${kind}, on ${options.data} (${windows.length} windows, ${pieces} word pieces):`,
      `  ${MASKED_LOG_LOSS.padEnd(17)} ${loss.toFixed(4)}`,
      `  ${'perplexity'.padEnd(17)} ${Math.exp(loss).toFixed(2)}`,
      ...(options.predictions === undefined ? [] : [`  windows           ${options.predictions}`]),
    ]);
  } finally {
    view.end();
    await tools.runtime.close();
  }
}
