/** A parent of a composition; figures are null where it was judged on no rows. */
export interface ComposedParent {
  /** hidden-1 and so on for one that one may not use. */
  readonly name: string;
  readonly version: string;
  /** Null for one that is hidden, or not registered any more. */
  readonly kind: string | null;
  readonly sizeBytes: number | null;
  /** Rows that it was judged on. */
  readonly n: number;
  /** Share that the parent alone gets right. */
  readonly parentAccuracy: number | null;
  /** Share that the composition gets right. */
  readonly accuracy: number | null;
  /** Loss of the parent alone, nats a hidden word piece; of masked language models, which have no accuracy. */
  readonly parentNats: number | null;
  /** Loss of the composition. */
  readonly nats: number | null;
  readonly normalized: number | null;
  /** Share of its rows that the router gives to it. */
  readonly routedHere: number | null;
}

/** A composed version. */
export interface CompositionRow {
  readonly name: string;
  readonly version: string;
  readonly task: string;
  /** Whether it answers for its name. */
  readonly stable: boolean;
  readonly method: string | null;
  readonly recipeDigest: string | null;
  /** In the order of the router's weights. */
  readonly parents: readonly ComposedParent[];
  /** Parents that one may not use: they have a number in place of their name. */
  readonly hidden: number;
  /** Mean of what it keeps of each parent's accuracy. */
  readonly normalized: number | null;
  readonly routerAccuracy: number | null;
  readonly sizeBytes: number;
  /** ISO times; null: not known, and never. */
  readonly createdAt: string | null;
  readonly expiresAt: string | null;
}

/** Bytes of the factors of a rank, and the share of the energy that they keep. */
export interface RankSize {
  readonly bytes: number;
  readonly energy: number;
}

/** What was measured while it was made. */
export interface CompositionReport {
  readonly routerValidationAccuracy: number | null;
  readonly bytes: number;
  /** What hosting the parents apart in full would take. */
  readonly parentBytes: number;
  /** By rising fraction; empty for methods without ranks. */
  readonly ranks: readonly (RankSize & { readonly fraction: number })[];
  readonly chosen: RankSize | null;
  readonly abstainBelow: number | null;
}

/** A composed version with what its bundle says. */
export interface Composition extends CompositionRow {
  readonly seed: number | null;
  readonly codeVersion: string | null;
  readonly recipe: string | null;
  /** Null where its bundle holds none. */
  readonly report: CompositionReport | null;
}

/** What a composition makes of one text. */
export interface Weighing {
  /** One for each parent, in their order. */
  readonly weights: readonly number[];
  /** Name of the parent whose head answered, or of the largest weight where heads are mixed. */
  readonly parent: string;
  /** Label, or word of the first mask. */
  readonly label: string;
  readonly score: number;
  /** Whether no parent covers the text; undefined for one that never abstains. */
  readonly abstains: boolean | undefined;
}
