import { EXIT } from '../exit-codes.js';
import { createOutput } from '../output.js';

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
  /** name@version of the expert that is this composition; empty when there is none. */
  readonly existing: string;
}

/** Says what a preflight found, whoever made it; obstacles are the exit code. */
export function preflightAnswer(json: boolean, facts: PreflightFacts): void {
  const { obstacles, recipeDigest, sizeBytes, memoryBytes, existing } = facts;
  const shown = obstacles.map(({ kind, parent, description }) => ({ kind, parent, description }));
  createOutput(json).answer({ obstacles: shown, recipeDigest, sizeBytes, memoryBytes, existing }, () =>
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
          ...(existing === '' ? [] : [`  exists as ${existing}`]),
        ],
  );
  if (obstacles.length > 0) process.exitCode = EXIT.negative;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
