import { buildBertEncoder, encodeModel } from '@thalamus/onnx-graph';
import { argMax, asFloat32 } from '@thalamus/tensor';
import { evaluationBatches, tokenFeeds, type TrainingBase } from '@thalamus/training';
import type { OpenedParent } from '../open-parent.js';
import { mergeWeights, type StaticRecipe } from '../shared-expert.js';
import type { ProbeRow } from './probe-quality.js';

const LIMITS = { rowsPerBatch: 32, tokensPerBatch: 2_048 };

/** Labels that merged weights give to rows, each by the head of the parent that the router gives it to. */
export async function mergedAnswers(
  recipe: StaticRecipe,
  parents: readonly OpenedParent[],
  rows: readonly ProbeRow[],
  base: TrainingBase,
): Promise<string[]> {
  const { config, weights } = base.read;
  const merged = mergeWeights(recipe, weights, parents);
  const encoder = buildBertEncoder(config, merged, { kind: 'float32' });
  const session = await base.runtime.load({ bytes: encodeModel(encoder) }, { threads: base.threads });
  const result = new Array<string>(rows.length).fill('');
  const ids = rows.map((row) => row.ids);
  try {
    for (const batch of evaluationBatches(
      ids.map(({ length }) => length),
      LIMITS,
    )) {
      const outputs = await session.run(tokenFeeds(ids, batch), { outputs: ['embedding'] });
      const { data } = asFloat32(outputs['embedding'], 'embedding');
      batch.forEach((row, at) => {
        const vector = data.subarray(at * config.hiddenSize, (at + 1) * config.hiddenSize);
        result[row] = labelOf(parents[rows[row]!.routed]!, vector);
      });
    }
    return result;
  } finally {
    await session.release();
  }
}

function labelOf({ head, labels }: OpenedParent, vector: Float32Array): string {
  const width = vector.length;
  const scores = head.bias.map((bias, label) =>
    vector.reduce((sum, value, i) => sum + value * head.weights[label * width + i]!, bias),
  );
  return labels[argMax(scores)] ?? '';
}
