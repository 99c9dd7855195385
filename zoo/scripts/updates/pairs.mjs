// What is measured: pairs of bases, tasks, arms.
import { HYPER_PARAMETERS, REPAIR_ARM_NAMES, REPAIR_HYPER_PARAMETERS } from '@thalamus/training';

/**
 * Old and new base of each pair, as the share of what masked-LM training changed of MiniLM-L6: 0 is the shipped base, 1 the base as
 * that training left it, more goes beyond; rows to repair with, and how many of them have a label where not all do.
 */
export const PAIRS = {
  near: { old: 0, new: 0.5, repair: 1200 },
  'few labels': { old: 0, new: 0.5, repair: 1200, labelled: 150 },
  medium: { old: 0, new: 1.5, repair: 1200 },
  'new far better': { old: 3, new: 0, repair: 1200 },
};

/** Versions are trained on so many times the rows of the ones before: an update comes with more data. */
export const MORE_ROWS = 1.4;

/** Arms that look at no label, and so learn from rows without one, too. */
export const WITHOUT_LABELS = ['old', 'new', 'mean'];

/**
 * Sets whose texts the masked language model has seen nothing of (it read legal and clinical text, so that `cuad_clause20` and
 * `clinical_section20` are left out), with rows of each part, those of v1 for `train`. Texts are cut at `maxTokens`.
 */
export const UPDATE_TASKS = {
  banking77: { train: 300, validation: 100, test: 1000, maxTokens: 48 },
  clinc10_domain: { train: 150, validation: 100, test: 1000, maxTokens: 48 },
  clinc150: { train: 450, validation: 100, test: 1000, maxTokens: 48 },
  scicite3: { train: 150, validation: 100, test: 1000, maxTokens: 48 },
  mmlu_domain14: { train: 280, validation: 100, test: 1000, maxTokens: 48 },
};

/** Shares of the train file, in per cent: rows for both versions, rows to repair with, rows that choose a pass of the repair. */
export const UPDATE_SPLIT = { expert: 60, router: 30, validation: 10 };

/** One setting for both versions of all tasks, and one for all arms. */
export const VERSION_SETTINGS = {
  ...HYPER_PARAMETERS.lora,
  epochs: 4,
  rank: 16,
  alpha: 16,
  headScale: 0.5,
  validationsPerEpoch: 1,
};
export const REPAIR_SETTINGS = { ...REPAIR_HYPER_PARAMETERS, epochs: 2 };

/**
 * `v1` and `v2` are the versions; `v2 again` differs from v2 by its seed alone; `ensemble` is the mean of the probabilities of v1 and
 * v2, both served; the rest are trained from v2.
 */
export const ARM_NAMES = ['v1', 'v2', 'v2 again', 'ensemble', ...REPAIR_ARM_NAMES];
