// Collects the outcome of checks, so that one run shows every fault and not only the first.

/** Checks by name; a check is a list of faults, empty when it holds. */
export class Report {
  /** @type {{ name: string, faults: string[], note: string }[]} */
  checks = [];

  /** Records a check with its faults; `note` says what was looked at. */
  add(name, faults, note = '') {
    this.checks.push({ name, faults, note });
  }

  get faults() {
    return this.checks.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`));
  }

  /** One line a check, with its faults below it. */
  text() {
    return this.checks
      .map(({ name, faults, note }) =>
        [
          `${faults.length === 0 ? 'ok    ' : 'FAILED'} ${name}${note ? `  (${note})` : ''}`,
          ...faults.slice(0, 10).map((fault) => `       ${fault}`),
        ].join('\n'),
      )
      .join('\n');
  }
}

/** A fault when two values differ. */
export const differs = (what, found, expected) =>
  Object.is(found, expected) ? [] : [`${what} is ${found}, expected ${expected}`];

/**
 * A fault when a figure is further than `tolerance` from the committed one. Products of int8 weights round differently
 * on other processors, which moves single answers; a wrong weight or a wrong row moves far more.
 */
export const figureDiffers = (what, found, committed, tolerance) =>
  Math.abs(found - committed) <= tolerance + 1e-9
    ? []
    : [`${what} is ${found.toFixed(6)} when measured again, but ${committed} is committed`];
