/** Labels of several parents as one list. */
export interface UnionLabels {
  /** Every label once: those of the first parent in its order, then what each later one adds. */
  readonly labels: readonly string[];
  /** For each parent, where each of its labels stands in `labels`. */
  readonly positions: readonly (readonly number[])[];
}

/** Puts the labels of parents together. A label that several parents have is one label: the same text, the same answer. */
export function unionLabels(parents: readonly (readonly string[])[]): UnionLabels {
  const index = new Map<string, number>();
  const positions = parents.map((labels) =>
    labels.map((label) => {
      const known = index.get(label);
      if (known !== undefined) return known;
      index.set(label, index.size);
      return index.size - 1;
    }),
  );
  return { labels: [...index.keys()], positions };
}
