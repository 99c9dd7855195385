import { COMPOSITION_FIGURES, type EvaluationRow, type ExpertManifest } from '@thalamus/bundle';

/** What rows of a composed manifest are about, when not about one parent. */
export const WHOLE = COMPOSITION_FIGURES.whole;

/** Metrics of a composed manifest. Those of one parent have the parent as their data set. */
export const FIGURES = {
  /** Largest difference between a probability of the graph and of what it stands for: merged weights, or a parent. */
  parity: 'parity-max-abs',
  /** Share of the parents' held-out rows that the router gives to their own parent. */
  routerAccuracy: COMPOSITION_FIGURES.routerAccuracy,
  /** The same on the rows that chose the regularisation. */
  routerValidationAccuracy: 'router-validation-accuracy',
  /** Share of the texts without labels that the router was fitted to; the parents were not sure enough of the rest. */
  promptsKept: 'prompts-kept',
  /** Mean over the parents of the composition's score divided by the parent's: see `normalizedOf`. */
  normalized: 'normalized',
  /** Share of right answers when the router chooses. */
  accuracy: COMPOSITION_FIGURES.accuracy,
  /** Share of right answers of the parent alone on the same rows. */
  parentAccuracy: COMPOSITION_FIGURES.parentAccuracy,
  /** What the router costs: parent-accuracy minus accuracy. */
  accuracyLoss: 'accuracy-loss',
  /** Mean loss of a hidden word piece when the router chooses, nats. */
  nats: COMPOSITION_FIGURES.nats,
  /** The same of the parent alone on the same texts. */
  parentNats: COMPOSITION_FIGURES.parentNats,
  /** What the normalised score of a masked language model lacks to 1: 1 - exp(parent-masked-log-loss - masked-log-loss). */
  scoreLoss: 'score-loss',
} as const;

/** Figures of a task by the unit that they are in. */
export const FIGURES_OF = {
  accuracy: { composed: FIGURES.accuracy, alone: FIGURES.parentAccuracy, lost: FIGURES.accuracyLoss },
  nats: { composed: FIGURES.nats, alone: FIGURES.parentNats, lost: FIGURES.scoreLoss },
} as const;

/** One figure as a row of a manifest, six significant digits. */
export function figure(
  what: { readonly dataset: string; readonly metric: string; readonly split: EvaluationRow['split'] },
  value: number,
  n: number,
  date: string,
): EvaluationRow {
  return { ...what, value: Number(value.toPrecision(6)), n, date };
}

/** The figures of a composed manifest by name: `accuracy`, `accuracy/<parent>`, `parity_max_abs`, ..., and `bytes`. */
export function figuresOf(manifest: ExpertManifest): Record<string, number> {
  const rows = manifest.evaluation.map(({ dataset, metric, value }) => {
    const name = metric.replaceAll('-', '_');
    return [dataset === WHOLE ? name : `${name}/${dataset}`, value] as const;
  });
  return { ...Object.fromEntries(rows), bytes: manifest.files.reduce((sum, file) => sum + file.bytes, 0) };
}

/**
 * Largest share of right answers, or of the normalised score, that the composition loses at the task of a parent, 0 or more; undefined
 * where none was judged.
 */
export function worstLoss(metrics: Readonly<Record<string, number>>): number | undefined {
  const prefixes = Object.values(FIGURES_OF).map(({ lost }) => `${lost.replaceAll('-', '_')}/`);
  const losses = Object.entries(metrics).flatMap(([name, value]) =>
    prefixes.some((prefix) => name.startsWith(prefix)) ? value : [],
  );
  return losses.length === 0 ? undefined : Math.max(0, ...losses);
}
