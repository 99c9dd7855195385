import type { ExpertManifest, OpenedBundle } from '@thalamus/bundle';
import { argMax } from '@thalamus/tensor';
import { openClassifier, type ClassifierTools } from '@thalamus/training';

/**
 * Labels that an expert gives to texts when it is asked alone, in their order. `onRows` is told how many are done.
 * @throws BUNDLE_INVALID for an expert over another base, METHOD_UNSUPPORTED
 */
export async function answersAlone(
  bundle: OpenedBundle<ExpertManifest>,
  texts: readonly string[],
  tools: ClassifierTools,
  onRows: (done: number) => void,
): Promise<string[]> {
  const classifier = await openClassifier(bundle, tools);
  try {
    const scores = await classifier.answer(texts, onRows);
    const width = classifier.labels.length;
    return texts.map(
      (_, at) => classifier.labels[argMax(scores.subarray(at * width, (at + 1) * width))] ?? '',
    );
  } finally {
    await classifier.release();
  }
}
