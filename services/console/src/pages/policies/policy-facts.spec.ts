import { expect, it } from 'vitest';
import { policyFacts } from './policy-facts.js';

const open = {
  tenant: 'acme',
  allowedExperts: [],
  allowedLicences: [],
  minTrust: 0,
  defaultWeights: {},
  maxParameters: 0,
  requestsPerSecond: 0,
  maxInFlight: 0,
  fallbackExpert: '',
  risk: null,
  onlineCorrection: 'on' as const,
  exploration: null,
  updatedAt: null,
  updatedBy: '',
};

it('says what is not limited', () => {
  expect(Object.fromEntries(policyFacts(open))).toEqual({
    experts: 'all',
    licences: 'all',
    'requests a second': 'no limit',
    'requests at once': 'no limit',
    'largest model, parameters': 'no limit',
    'least trust': 'none asked',
    'weights by default': 'none',
    'quality that may be lost': 'no bound',
    exploration: 'none',
    'when the router abstains': 'refuse',
    feedback: 'corrects predictions',
  });
});

it('says what is', () => {
  const policy = {
    ...open,
    allowedExperts: ['a', 'b'],
    minTrust: 0.5,
    defaultWeights: { cost: 0.5, size: 1 },
    maxParameters: 1_000_000,
    requestsPerSecond: 10,
    fallbackExpert: 'a',
  };
  expect(Object.fromEntries(policyFacts(policy))).toMatchObject({
    experts: 'a, b',
    'requests a second': '10',
    'largest model, parameters': '1,000,000',
    'least trust': '0.50',
    'weights by default': 'cost=0.5, size=1',
    'when the router abstains': 'ask a',
  });
});
