import type { Policy } from '../../api/types.js';

const CORRECTIONS = {
  on: 'corrects predictions',
  frozen: 'changes nothing more',
  off: 'changes nothing; decisions are not corrected',
} as const;

/** What a policy says, in words: name and value of each line. 0 and empty mean that nothing is limited. */
export function policyFacts(policy: Policy): (readonly [name: string, value: string])[] {
  const limit = (value: number) => (value === 0 ? 'no limit' : value.toLocaleString('en'));
  const list = (names: readonly string[]) => (names.length === 0 ? 'all' : names.join(', '));
  const weights = Object.entries(policy.defaultWeights).map(([name, weight]) => `${name}=${weight}`);
  return [
    ['experts', list(policy.allowedExperts)],
    ['licences', list(policy.allowedLicences)],
    ['requests a second', limit(policy.requestsPerSecond)],
    ['requests at once', limit(policy.maxInFlight)],
    ['largest model, parameters', limit(policy.maxParameters)],
    ['least trust', policy.minTrust === 0 ? 'none asked' : policy.minTrust.toFixed(2)],
    ['weights by default', weights.length === 0 ? 'none' : weights.join(', ')],
    [
      'quality that may be lost',
      policy.risk === null ? 'no bound' : `${policy.risk.alpha} with confidence ${1 - policy.risk.delta}`,
    ],
    [
      'exploration',
      policy.exploration === null
        ? 'none'
        : `${policy.exploration.epsilon} of requests among ${policy.exploration.pool} within ${policy.exploration.within}`,
    ],
    ['when the router abstains', policy.fallbackExpert === '' ? 'refuse' : `ask ${policy.fallbackExpert}`],
    ['feedback', CORRECTIONS[policy.onlineCorrection]],
  ];
}
