import type { routerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { ReleaseScope } from '../domain/release-share.js';
import type { ResolvedExpert, ResolveExpert } from './resolve-expert.js';

/**
 * Who answers when the router abstains: the fallback expert of the caller's policy. A policy names one for all tasks, so one
 * that serves another task, or cannot be used, is passed over.
 */
export class FallbackExpert {
  constructor(
    private readonly view: RegistryView,
    private readonly resolve: ResolveExpert,
  ) {}

  /** @throws NO_SUITABLE_EXPERT that says why the router abstained, and why the fallback does not help */
  run(decision: routerV1.Decision, task: string, scope: ReleaseScope): ResolvedExpert {
    const name = this.view.policy(scope.caller.tenant)?.fallbackExpert ?? '';
    if (name === '') throw unsuitable(decision, '');
    const expert = this.usable(name, scope, decision);
    if (expert.task === task) return expert;
    const why = `The fallback expert of the policy, ${name}, serves ${expert.task}, not ${task}.`;
    throw unsuitable(decision, why, name);
  }

  private usable(name: string, scope: ReleaseScope, decision: routerV1.Decision): ResolvedExpert {
    try {
      return this.resolve.run(name, undefined, scope);
    } catch (fault) {
      if (!ThalamusError.is(fault)) throw fault;
      throw unsuitable(
        decision,
        `The fallback expert of the policy, ${name}, cannot be used (${fault.code}).`,
        name,
      );
    }
  }
}

function unsuitable(decision: routerV1.Decision, fallback: string, name = ''): ThalamusError {
  const nearest = decision.ranked[0]?.expert;
  const hint =
    nearest === undefined
      ? 'Loosen the flags or name an expert.'
      : `Name an expert to ask it anyway; the nearest is ${nearest}.`;
  const message = [decision.reason, fallback, hint].filter((part) => part !== '').join(' ');
  return new ThalamusError('NO_SUITABLE_EXPERT', message, {
    metadata: { nearest: nearest ?? '', router_model: decision.routerModel, fallback: name },
  });
}
