import type { ScheduleName } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

/** How the learning rate changes. */
export interface Schedule {
  readonly name: ScheduleName;
  /** Steps over which the rate rises linearly to its peak. */
  readonly warmUpSteps: number;
  /** All steps of the run. */
  readonly totalSteps: number;
  /** Exponent of `power`: (1 - progress)^exponent. Default 2. */
  readonly exponent?: number;
}

/**
 * Factor of the peak rate at a step, from 0: rises to 1 over the warm-up; then linear falls to 0 at the end, cosine as half
 * a wave, power as (1 - progress)^exponent, constant stays. Between 0 and 1.
 */
export function rateFactor({ name, warmUpSteps, totalSteps, exponent = 2 }: Schedule, step: number): number {
  if (!(totalSteps >= 1) || !(warmUpSteps >= 0))
    throw new ThalamusError(
      'CONFIG_INVALID',
      `A schedule needs steps: ${totalSteps} in all, ${warmUpSteps} to warm up.`,
    );
  if (step < warmUpSteps) return (step + 1) / (warmUpSteps + 1);
  const rest = Math.max(1, totalSteps - warmUpSteps);
  const left = Math.min(1, Math.max(0, 1 - (step - warmUpSteps) / rest));
  switch (name) {
    case 'constant':
      return 1;
    case 'linear':
      return left;
    case 'cosine':
      return (1 - Math.cos(Math.PI * left)) / 2;
    case 'power':
      return left ** exponent;
  }
}
