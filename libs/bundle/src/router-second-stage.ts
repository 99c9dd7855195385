import { z } from 'zod';
import { count } from './manifest-fields.js';
import { checkHeads, checkInputs, encoderInput, heads, interval, type Issue } from './router-parts.js';

/** The second of two stages: it predicts anew for prompts that the first leaves open. */
export const secondStage = z.strictObject({
  /** Width of the vector that its heads read. */
  dimension: count.min(1),
  /** Parts of that vector, `sentence` among them; the tables of the others are those of `encoder.file`. */
  inputs: z.array(encoderInput).min(1),
  heads,
  /** Gap in the loss unit below which a prompt goes on: loss of the nearest candidate that may be better, less the least. 0: none does. */
  threshold: z.number().nonnegative(),
  /** By less than this nobody counts as better, in the loss unit. */
  margin: z.number().nonnegative(),
  /** Of the losses that the first heads give: `calibration` is that of both stages together. */
  intervals: z.array(interval),
});

/** What a second stage stands on. */
interface Around {
  readonly encoder: {
    readonly inputs?: readonly z.infer<typeof encoderInput>[] | undefined;
  };
  readonly candidates: readonly { readonly expert: string }[];
  readonly regionCount?: number | undefined;
  readonly secondStage?: z.infer<typeof secondStage> | undefined;
}

/** A second stage that fits the first. */
export function checkSecondStage({ secondStage: given, ...manifest }: Around, issue: Issue): void {
  if (!given) return;
  const own = (message: string) => {
    issue('secondStage', message);
  };
  checkHeads(given.heads, issue, 'secondStage');
  checkInputs(given.inputs, given.dimension, issue, 'secondStage');
  checkShared(given.inputs, manifest.encoder.inputs, own);
  const names = (list: readonly { readonly expert: string }[]) => list.map(({ expert }) => expert).join();
  if (names(given.intervals) !== names(manifest.candidates))
    own('intervals must name the candidates in the same order');
  const regions = manifest.regionCount ?? 0;
  if (regions < 2 || regions % 2 !== 0) own('regionCount must be twice that of the first stage');
  for (const { expert, scales } of given.intervals)
    if (scales && 2 * scales.length !== regions)
      own(`the interval of ${expert} has ${scales.length} scales for ${regions / 2} regions`);
}

type Inputs = readonly z.infer<typeof encoderInput>[];

/** Parts of the second stage beside those of the first, which has no graph. */
function checkShared(inputs: Inputs, first: Inputs | undefined, own: (message: string) => void): void {
  if (!first || first.some(({ kind }) => kind === 'sentence'))
    own('is for a first stage without a graph: give encoder.inputs, without sentence');
  if (!inputs.some(({ kind }) => kind === 'sentence')) own('inputs must name sentence');
  for (const { kind, width } of inputs)
    if (kind !== 'sentence' && !first?.some((item) => item.kind === kind && item.width === width))
      own(`the input ${kind} must be one of encoder.inputs, with the same width: they share its table`);
}
