// The windows that the small masked language models are judged on, and their figures as they are stored.
import { decodeModel } from '@thalamus/onnx-graph';
import { JUDGING_MASKS, MASKED_LOG_LOSS, MaskedLmModel, maskVocabulary } from '@thalamus/training';
import { spread, WINDOW_TOKENS, windowsOf } from './domains.mjs';

/** Windows of each domain, at most. */
const JUDGED = { validation: 16, test: 20 };
const LIMITS = { rowsPerBatch: 8, tokensPerBatch: 8 * WINDOW_TOKENS };

/** { validation, test }: windows of all domains, in their order; `domains` are as `readDomain` gives them. */
export async function judgingWindows(base, domains) {
  const of = async (split) => {
    const parts = domains.map(async (domain) => spread(await windowsOf(base, domain[split]), JUDGED[split]));
    return (await Promise.all(parts)).flat();
  };
  return { validation: await of('validation'), test: await of('test') };
}

/** Evaluation rows of a graph, from the bytes that are shipped. */
export async function measureSmall(bytes, windows, { base, date }) {
  const masks = { vocabulary: maskVocabulary(base.tokenizerJson), ...JUDGING_MASKS };
  const model = await MaskedLmModel.open(base.runtime, decodeModel(bytes), new Set(), base.threads);
  const rows = [];
  for (const split of ['validation', 'test']) {
    const losses = await model.rowLosses(windows[split], masks, new Map(), LIMITS);
    const sum = (of) => losses.reduce((all, row) => all + row[of], 0);
    rows.push({
      dataset: 'domains',
      split,
      metric: MASKED_LOG_LOSS,
      value: sum('nats') / sum('pieces'),
      n: sum('pieces'),
      date,
    });
  }
  await model.release();
  return rows;
}
