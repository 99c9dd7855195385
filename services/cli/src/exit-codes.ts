/** Exit codes that scripts can rely on. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  negative: 4,
  interrupted: 130,
} as const;

/** What each means, for the reference page. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'Done.',
  failed: 'The mesh answered with an error, or something on this machine failed.',
  usage: 'The command line, a flag or a setting is wrong; nothing was done.',
  unreachable: 'Nothing answers: no mesh runs, or its address or its Kafka cannot be reached.',
  negative:
    'A check ran and its answer is no: incompatible versions, parents that cannot be composed, an unhealthy mesh.',
  interrupted: 'Ended by Ctrl-C before it was done.',
};

/** Exit codes of verbs whose answer is a verdict, so that a pipeline can tell "no" from "not known" and from "it did not run". */
export const VERDICT_EXIT = { passed: 0, failed: 1, inconclusive: 2, error: 3 } as const;

/** What each means, for the reference page. */
export const VERDICT_EXIT_MEANINGS: Readonly<Record<keyof typeof VERDICT_EXIT, string>> = {
  passed: 'The verdict is good: compatible, repaired, no breaking difference, the gate passed.',
  failed: 'The verdict is bad: incompatible, worse, a breaking difference, the gate failed.',
  inconclusive:
    'Nothing can be said with so few items, nothing is shown, or the gate lacks what it asks for.',
  error: 'There is no verdict: bad input, a wrong command line, no mesh, or a fault.',
};

/** The verbs that end so, whatever goes wrong. */
export const VERDICT_VERBS: ReadonlySet<string> = new Set([
  'thalamus release compare',
  'thalamus release diff',
  'thalamus release gate check',
  'thalamus release reroute',
  'thalamus router compare',
]);
