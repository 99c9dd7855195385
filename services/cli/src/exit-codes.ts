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
