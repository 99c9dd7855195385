/** What was looked at, and how it is. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do about it; only when it is not in order. */
  readonly cure?: string;
}

/** In order. */
export function fine(name: string, detail: string): Check {
  return { name, ok: true, detail };
}

/** Not in order. */
export function wrong(name: string, detail: string, cure: string): Check {
  return { name, ok: false, detail, cure };
}
