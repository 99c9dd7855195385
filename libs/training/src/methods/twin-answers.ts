import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { TWIN_VALUES } from '@thalamus/model-merge';
import { asFloat32, logSumExp, tensor } from '@thalamus/tensor';
import type { BatchEncoder, EmbeddedTexts } from '../embed-texts.js';
import type { TextTokens } from '../training-base.port.js';
import { tokenFeeds } from './classifier-model.js';
import { openOwnGraph, type OwnGraphTools } from './own-graph.js';

/** Logits at or below this belong to labels that the chosen parent of a twin does not have. */
const ABSENT_LOGIT = -1e8;

/** A composed classifier whose "vectors" are the logits of its labels. */
export interface OpenedTwin extends BatchEncoder {
  release(): Promise<void>;
}

/** Opens a composed classifier; its own router chooses the parent for every text. @throws BUNDLE_INVALID, GRAPH_INVALID */
export async function openTwin(
  expert: OpenedBundle<ExpertManifest>,
  tools: OwnGraphTools & { readonly readTokenizer: (json: Uint8Array) => TextTokens },
): Promise<OpenedTwin> {
  const { labels = [], maxTokens } = expert.manifest;
  const tokens = tools.readTokenizer(await expert.readFile('tokenizer.json'));
  const session = await openOwnGraph(expert, tools, {
    // Negative: the router of the graph chooses the parent.
    [TWIN_VALUES.task]: (rows) => tensor('int64', [rows], new BigInt64Array(rows).fill(-1n)),
  });
  return {
    encode: async (texts) => {
      const rows = await tokens.encode(texts, maxTokens);
      const ids = rows.map((row) => row.ids);
      const feeds = tokenFeeds(ids, Array.from(ids.keys()));
      const outputs = await session.run(feeds, { outputs: [TWIN_VALUES.logits] });
      const { data } = asFloat32(outputs[TWIN_VALUES.logits], TWIN_VALUES.logits);
      return { embeddings: data, width: labels.length };
    },
    release: () => session.release(),
  };
}

/**
 * Log-probabilities of a twin. A label that the chosen parent does not have has no probability; it costs ln(labels) + 1 nats,
 * as everywhere where losses are compared across label sets.
 */
export function twinLogProbabilities({ features, width }: EmbeddedTexts): Float64Array {
  const absent = -(Math.log(width) + 1);
  const result = Float64Array.from(features);
  for (let from = 0; from < result.length; from += width) {
    const row = result.subarray(from, from + width);
    const norm = logSumExp(row);
    for (let k = 0; k < width; k++) {
      const logit = row[k] ?? 0;
      row[k] = logit <= ABSENT_LOGIT ? absent : logit - norm;
    }
  }
  return result;
}
