/** Shares of neighbours that agree with a prompt. */
export interface Agreement {
  readonly label: number;
  /** Null where experts do equally well on every prompt. */
  readonly best: number | null;
}

/** What prompts can agree on. */
export interface PromptFacts {
  readonly label: readonly number[];
  /** Experts that do best on each prompt, by index; undefined where all do equally well, which says nothing. */
  readonly best: readonly (ReadonlySet<number> | undefined)[];
}

/** Experts with the least measured loss of a prompt [candidates], NaN for no result; undefined when all have it. */
export function bestExperts(losses: ArrayLike<number>): ReadonlySet<number> | undefined {
  const known = Array.from({ length: losses.length }, (_, k) => k).filter((k) => !Number.isNaN(losses[k]!));
  const least = Math.min(...known.map((k) => losses[k]!));
  const best = known.filter((k) => losses[k]! <= least + 1e-9);
  return best.length === known.length ? undefined : new Set(best);
}

/** Mean share of the neighbours of a prompt that have its label, and that share a best expert with it. */
export function neighbourAgreement(
  facts: PromptFacts,
  neighbours: readonly (readonly number[])[],
): Agreement {
  const label = { sum: 0, rows: 0 };
  const best = { sum: 0, rows: 0 };
  const add = (to: typeof label, shares: readonly boolean[]) => {
    if (shares.length === 0) return;
    to.sum += shares.filter(Boolean).length / shares.length;
    to.rows += 1;
  };
  neighbours.forEach((near, row) => {
    add(
      label,
      near.map((other) => facts.label[other] === facts.label[row]),
    );
    const own = facts.best[row];
    if (!own) return;
    const telling = near.flatMap((other) => facts.best[other] ?? []);
    add(
      best,
      telling.map((other) => [...own].some((k) => other.has(k))),
    );
  });
  return {
    label: label.sum / Math.max(1, label.rows),
    best: best.rows === 0 ? null : best.sum / best.rows,
  };
}

/** Agreement of any two prompts. */
export function chanceAgreement(facts: PromptFacts): Agreement {
  const all = facts.label.map((_, row) => row);
  return neighbourAgreement(
    facts,
    all.map((row) => all.filter((other) => other !== row)),
  );
}
