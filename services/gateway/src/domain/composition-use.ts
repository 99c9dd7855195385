/** How a composition came to answer, or why its parents did. */
export const COMPOSITION_REASONS = [
  /** It was there. */
  'found',
  /** It was made while the request waited. */
  'built',
  /** It is being made, and was not ready in time. */
  'building',
  /** As many are being made or wait as may, in all or for the tenant. */
  'busy',
  /** As many are kept as may be. */
  'full',
  /** The composer could not be asked. */
  'unavailable',
  /** It could not be made a short while ago. */
  'failed',
  /** It is there, but no host has it loaded. */
  'loading',
] as const;

/** One of the reasons. */
export type CompositionReason = (typeof COMPOSITION_REASONS)[number];

/** A composition that was asked for, and what answered. */
export interface CompositionUse {
  /** `compose:a@2+b@1`: parents by name with the versions that answer for them. */
  readonly model: string;
  readonly answered: 'composition' | 'parents';
  readonly reason: CompositionReason;
}

/** As header and parameter: `compose:a@2+b@1; answered=parents; reason=building`. */
export function compositionText({ model, answered, reason }: CompositionUse): string {
  return `${model}; answered=${answered}; reason=${reason}`;
}

/** What is said of a request of several texts: that parents answered, when they did for any of them. */
export function usedByAll(
  answers: readonly { readonly composition?: CompositionUse | undefined }[],
): CompositionUse | undefined {
  const uses = answers.flatMap(({ composition }) => composition ?? []);
  return uses.find(({ answered }) => answered === 'parents') ?? uses[0];
}
