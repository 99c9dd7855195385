import { EXIT } from '../exit-codes.js';
import { createOutput } from '../output.js';
import { qualityLines, type ProbedQuality } from './quality-lines.js';

export type { ProbedQuality } from './quality-lines.js';

/** What a preflight found. */
export interface PreflightFacts {
  readonly obstacles: readonly {
    readonly kind: string;
    readonly parent: string;
    readonly description: string;
  }[];
  readonly recipeDigest: string;
  readonly sizeBytes: number;
  readonly memoryBytes: number;
  /** Gradients of one text each that Fisher information is measured by, at most. */
  readonly gradients: number;
  /** name@version of the expert that is this composition; empty when there is none. */
  readonly existing: string;
  /** Undefined where it was not asked for. */
  readonly quality: ProbedQuality | undefined;
}

/** Says what a preflight found, whoever made it; obstacles are the exit code. */
export function preflightAnswer(json: boolean, facts: PreflightFacts): void {
  const { obstacles, recipeDigest, sizeBytes, memoryBytes, gradients, existing, quality = null } = facts;
  const shown = obstacles.map(({ kind, parent, description }) => ({ kind, parent, description }));
  createOutput(json).answer(
    { obstacles: shown, recipeDigest, sizeBytes, memoryBytes, gradients, existing, quality },
    () =>
      obstacles.length > 0
        ? [
            'These experts cannot be composed:',
            ...obstacles.map(
              ({ kind, parent, description }) => `  ${kind}: ${parent || 'the parents'} ${description}`,
            ),
          ]
        : [
            `can be composed: ${recipeDigest}`,
            `  bundle about ${mebibytes(sizeBytes)}, memory while it is made about ${mebibytes(memoryBytes)}`,
            ...(gradients === 0
              ? []
              : [
                  `  Fisher information: up to ${gradients} gradients of one text each, of which one takes several times as long as an answer`,
                ]),
            ...(existing === '' ? [] : [`  exists as ${existing}`]),
            ...(quality ? qualityLines(quality) : []),
          ],
  );
  if (obstacles.length > 0) process.exitCode = EXIT.negative;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
