import { ThalamusError } from '@thalamus/errors';
import type { RouteConstraints } from './candidate.js';
import type { Flag } from './flags.js';

/**
 * Hard limits among merged flags. Limits that no value can keep at once are refused here, where they can be named: the filter
 * could only say that every expert fails them.
 * @throws FLAG_INVALID
 */
export function limitsOf(flags: readonly Flag[]): RouteConstraints['limits'] {
  const limits = flags.flatMap((flag): RouteConstraints['limits'] => {
    if (flag.kind === 'atMost') return [{ name: flag.name, atMost: flag.value }];
    return flag.kind === 'atLeast' ? [{ name: flag.name, atLeast: flag.value }] : [];
  });
  for (const { name, atLeast } of limits) {
    const most = limits.find((other) => other.name === name && other.atMost !== undefined)?.atMost;
    if (atLeast === undefined || most === undefined || atLeast <= most) continue;
    const reason = `at least ${atLeast} and at most ${most} contradict each other; leave one of them out`;
    throw new ThalamusError('FLAG_INVALID', `Flag "${name}": ${reason}.`, {
      violations: [{ field: `flags.${name}`, description: reason }],
    });
  }
  return limits;
}
