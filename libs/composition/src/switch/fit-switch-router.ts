import { ThalamusError } from '@thalamus/errors';
import { createRandom } from '@thalamus/tensor';
import {
  embedTexts,
  evaluateHead,
  fitSoftmaxRegression,
  labelled,
  normalised,
  splitForTraining,
  trainProbe,
  type BatchEncoder,
  type LinearHead,
} from '@thalamus/training';

/** Texts that belong to a parent. */
export interface ParentTexts {
  readonly name: string;
  /** Texts that a router may be fitted on. */
  readonly train: readonly string[];
  /** Texts that nothing may be fitted on. */
  readonly test: readonly string[];
}

/** How the router is fitted. */
export interface FitSwitchRouterOptions {
  /** Strength of the regularisation; 0: the one with the least loss on held-out rows. */
  readonly l2: number;
  /** Most rows of each parent. */
  readonly rowsPerParent: number;
  /** Chooses the rows, and which of them are held out. */
  readonly seed: number;
  /** Told how many texts have been embedded. */
  readonly onEmbedded: (done: number, total: number) => void;
}

/** A fitted router: one output for each parent, sorted by name. */
export interface FittedSwitchRouter {
  readonly head: LinearHead;
  readonly width: number;
  /** Share of the held-out rows that it gave to their parent. */
  readonly validationAccuracy: number;
  readonly validationRows: number;
  /** Rows of each parent that it was fitted on or chosen by. */
  readonly rows: ReadonlyMap<string, number>;
}

/**
 * Fits the router: multinomial logistic regression of the parent on the embedding of the shared encoder. Texts of a test
 * split, in whatever case and spacing, are never among the rows.
 * @throws DATASET_INVALID with too few rows to hold some out
 */
export async function fitSwitchRouter(
  encoder: BatchEncoder,
  parents: readonly ParentTexts[],
  options: FitSwitchRouterOptions,
): Promise<FittedSwitchRouter> {
  const names = parents.map(({ name }) => name).sort();
  const rows = parents.flatMap((parent) =>
    chosenTexts(parent, parents, options).map((text) => ({ text, label: parent.name })),
  );
  const { train, validation } = splitForTraining(rows, {
    seed: options.seed,
    holdOutTest: false,
    file: 'training rows of the parents',
  });
  const all = [...train, ...validation];
  const { features, width } = await embedTexts(
    encoder,
    all.map(({ text }) => text),
    { onBatch: (done) => options.onEmbedded(done, all.length) },
  );
  const cut = train.length * width;
  const part = (of: readonly { readonly label: string }[], embedded: Float32Array) => ({
    features: embedded,
    labels: of.map(({ label }) => label),
  });
  const fitted = part(train, features.subarray(0, cut));
  const held = part(validation, features.subarray(cut));
  const head =
    options.l2 === 0
      ? trainProbe(fitted, held, width).head
      : fitSoftmaxRegression(labelled(fitted, names, width), { l2: options.l2 });
  const { accuracy } = evaluateHead(head, labelled(held, names, width));
  const counts = new Map(names.map((name) => [name, all.filter(({ label }) => label === name).length]));
  return { head, width, validationAccuracy: accuracy, validationRows: validation.length, rows: counts };
}

/** At most so many texts of a parent, each once, none that stands in a test split. */
function chosenTexts(
  parent: ParentTexts,
  parents: readonly ParentTexts[],
  { rowsPerParent, seed }: FitSwitchRouterOptions,
): string[] {
  const held = new Set(parents.flatMap(({ test }) => test.map(normalised)));
  const texts = new Map(parent.train.map((text) => [normalised(text), text]));
  const open = [...texts].filter(([key]) => !held.has(key)).map(([, text]) => text);
  if (open.length === 0)
    throw new ThalamusError(
      'DATASET_INVALID',
      `No training row of ${parent.name} is left that is not in a test split as well; register other training rows.`,
    );
  createRandom(seed).shuffle(open);
  return open.slice(0, rowsPerParent);
}
