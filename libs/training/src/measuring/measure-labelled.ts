import { labelLoss, lossScale } from '../loss-table.js';
import { openClassifier, type ClassifierTools } from '../methods/open-classifier.js';
import type { MeasuredExpert, PromptLoss } from './measured-expert.js';
import { resultsOrNone } from './results-or-none.js';
import type { MeasuredBundle } from './table-run.js';

/**
 * Opens a classifier to measure labelled prompts: the cross-entropy of the right label, clipped at ln K; ln K + 1 where the expert has
 * no such label. A long prompt is cut as it is when it is served. No result: a prompt that the expert fails on.
 */
export async function openLabelledMeasure(
  bundle: MeasuredBundle,
  tools: ClassifierTools,
  labelCount: number,
): Promise<MeasuredExpert> {
  const classifier = await openClassifier(bundle, tools);
  const scale = lossScale(labelCount);
  const classOf = new Map(classifier.labels.map((label, at) => [label, at]));
  const width = classifier.labels.length;
  return {
    measure: async (prompts) => {
      const known = prompts.filter(({ label }) => classOf.has(label ?? ''));
      const scores = await resultsOrNone(known, async (together) => {
        const all = await classifier.answer(together.map(({ text }) => text));
        return together.map((_, at) => all.subarray(at * width, (at + 1) * width));
      });
      const lossOf = new Map(
        known.map(({ id, label }, at) => {
          const score = scores[at]?.[classOf.get(label ?? '')!];
          return [
            id,
            score === undefined || Number.isNaN(score) ? null : Math.max(0, labelLoss(score, scale)),
          ];
        }),
      );
      return prompts.map(({ id }): PromptLoss => ({
        loss: lossOf.has(id) ? lossOf.get(id)! : labelLoss(undefined, scale),
      }));
    },
    release: () => classifier.release(),
  };
}
