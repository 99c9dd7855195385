/** Asks versions what callers ask them. */
export interface AskLabel {
  /** True when some host has the version ready, or loads it when it is asked. */
  canAsk(expert: string, version: string): boolean;
  /**
   * The best label of a text, by one host, with a deadline.
   * @throws EXPERT_NOT_READY without a host, UPSTREAM_ERROR for an answer without a label, and what the host says
   */
  labelOf(expert: string, version: string, text: string, signal: AbortSignal): Promise<string>;
}
