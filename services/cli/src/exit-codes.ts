/** Exit codes that scripts can rely on. */
export const EXIT = {
  ok: 0,
  /** The mesh answered with an error, or something local failed. */
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** The mesh cannot be reached. */
  unreachable: 3,
  /** A check ran and its answer is no: incompatible versions, an unhealthy mesh. */
  negative: 4,
  /** Ended by Ctrl-C before it was done. */
  interrupted: 130,
} as const;
