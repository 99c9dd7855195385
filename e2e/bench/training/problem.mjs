// A full fine-tuning step of the base: what the benches of training measure.
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { graphOf } from '@thalamus/onnx-graph';
import { createRandom, tensor } from '@thalamus/tensor';
import * as training from '@thalamus/training';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const CLASSES = 7;
export const [ROWS, LENGTH] = [32, 64];
export const [RATE, DECAY, CLIP] = [5e-5, 0.01, 1];

export async function makeProblem() {
  const runtime = new OrtRuntime();
  const base = await training.openTrainingBase(join(ROOT, 'zoo/base/minilm-l6'), {
    runtime,
    threads: 1,
    readTokenizer: (json) => Tokenizer.parse(json),
  });
  await runtime.close();
  const { config, weights } = base.read;
  const random = createRandom(3);
  const head = {
    weights: Float32Array.from({ length: config.hiddenSize * CLASSES }, () => random.next() * 0.02),
    bias: new Float32Array(CLASSES),
  };
  const model = training.classifierGraph(config, weights, head);
  const names = new Set(
    graphOf(model)
      .initializer.map(({ name }) => name)
      .filter((name) => /^(embeddings|encoder|head)\..*(weight|bias)$/.test(name)),
  );
  const ids = Array.from({ length: ROWS }, () =>
    Array.from({ length: LENGTH }, () => 1000 + random.below(28_000)),
  );
  return { config, model, names, ids, labels: ids.map((_, row) => row % CLASSES) };
}

/** The batch as the graph takes it. */
export function feedsOf({ ids, labels }) {
  return {
    ...training.tokenFeeds(ids, Array.from(ids.keys())),
    [training.TRAINING_VALUES.labels]: tensor('int64', [ROWS], BigInt64Array.from(labels, BigInt)),
  };
}
