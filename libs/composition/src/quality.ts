/** How the task of a classifier fares. */
export interface ClassifiedQuality {
  readonly name: string;
  /** Labelled rows that nothing was fitted to. */
  readonly n: number;
  /** Right answers of the parent alone, of those rows. */
  readonly rightAlone: number;
  /** Right answers of the composition when its router chooses. */
  readonly rightRouted: number;
  /** Rows that the router gives to this parent. */
  readonly routedHere: number;
}

/** How the domain of a masked language model fares. */
export interface MaskedQuality {
  readonly name: string;
  /** Hidden word pieces of texts that nothing was fitted to. */
  readonly n: number;
  /** Mean loss of the parent alone, nats a hidden word piece. */
  readonly natsAlone: number;
  /** The same of the composition when its router chooses. */
  readonly nats: number;
  /** Share of the masked windows that the router gives to this parent. */
  readonly routedShare: number;
}

/** How a parent's task fares. */
export type ParentQuality = ClassifiedQuality | MaskedQuality;

/** What was measured of a composition. */
export interface CompositionQuality {
  readonly parents: readonly ParentQuality[];
  readonly routerValidation: { readonly accuracy: number; readonly n: number };
  /** Training rows of each parent that the router was fitted to. */
  readonly routerRows: ReadonlyMap<string, number>;
  /** Texts without labels that were given, and those of them that a parent was sure of; absent where the parents' rows were. */
  readonly prompts?: { readonly given: number; readonly kept: number } | undefined;
  /** Largest difference of a probability to what the graph stands for, and the rows that were compared. */
  readonly parity: { readonly maxAbs: number; readonly n: number };
}

/** What figures of a task are in: the share of right answers, 0 to 1, or the mean loss of a hidden word piece. */
export type QualityUnit = 'accuracy' | 'nats';

/** A parent's task as figures. */
export interface TaskFigures {
  readonly unit: QualityUnit;
  /** Of the parent alone. */
  readonly alone: number;
  /** Of the composition, whose router chooses. */
  readonly composed: number;
  /** Undefined for a parent that is never right. */
  readonly normalized: number | undefined;
  /** What is lost against the parent alone, 0 to 1: of accuracy, or of the normalised score. Negative where it gains. */
  readonly lost: number;
  /** Share of what was judged that the router gives to this parent. */
  readonly routed: number;
}

/** Figures of a parent that was judged on something. */
export function taskFigures(parent: ParentQuality): TaskFigures {
  if ('nats' in parent) {
    const normalized = normalizedLoss(parent.natsAlone, parent.nats);
    return {
      unit: 'nats',
      alone: parent.natsAlone,
      composed: parent.nats,
      normalized,
      lost: 1 - normalized,
      routed: parent.routedShare,
    };
  }
  const { n, rightAlone, rightRouted, routedHere } = parent;
  return {
    unit: 'accuracy',
    alone: rightAlone / n,
    composed: rightRouted / n,
    normalized: rightAlone > 0 ? rightRouted / rightAlone : undefined,
    lost: (rightAlone - rightRouted) / n,
    routed: routedHere / n,
  };
}

/**
 * Normalised score of a loss: exp(alone - composed), nats a hidden word piece. The score of a model is the geometric mean of the
 * probabilities that it gives to what was hidden, exp(-loss), which is 1 at best as an accuracy is; of two models it is the ratio of
 * their perplexities. 1 for a composition that does as well as the parent alone, less where it does worse.
 */
export function normalizedLoss(alone: number, composed: number): number {
  return Math.exp(alone - composed);
}

/**
 * Normalised score: the mean over the parents of the composition's score divided by the parent's own (Twin-Merging, arXiv
 * 2406.15479, section 4), 1 for a composition that does as well. A parent that is never right is left out; undefined where all are.
 */
export function normalizedOf(parents: readonly ParentQuality[]): number | undefined {
  const scores = parents.flatMap((parent) => taskFigures(parent).normalized ?? []);
  if (scores.length === 0) return undefined;
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}
