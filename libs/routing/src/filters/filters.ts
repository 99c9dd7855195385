import type { Candidate, RouteConstraints } from '../candidate.js';

/** A hard filter: who does not pass cannot be chosen, whatever the predicted loss. */
export interface Filter {
  /** Name in rejections and reasons. */
  readonly name: string;
  /** What it wants, in words. */
  describe(constraints: RouteConstraints): string;
  passes(candidate: Candidate, constraints: RouteConstraints): boolean;
}

const oneOf = (list: readonly string[], value: string) => list.length === 0 || list.includes(value);

const task: Filter = {
  name: 'task',
  describe: ({ task: wanted }) => `serves ${wanted}`,
  passes: (candidate, constraints) => candidate.task === constraints.task,
};

const head: Filter = {
  name: 'head',
  describe: () => 'the router model has a head for it',
  passes: (candidate) => candidate.fittedVersion !== undefined,
};

const channel: Filter = {
  name: 'channel',
  describe: () => 'has a stable version',
  passes: (candidate) => candidate.version !== '',
};

const tenant: Filter = {
  name: 'tenant',
  describe: ({ tenant: name }) => `is open to the tenant ${name}`,
  passes: (candidate, constraints) => oneOf(candidate.tenants, constraints.tenant),
};

const health: Filter = {
  name: 'health',
  describe: () => 'is not known to be down',
  passes: (candidate) => candidate.healthy !== false,
};

const experts: Filter = {
  name: 'experts',
  describe: ({ experts: names }) => `is one of ${names.join(', ') || 'all'}`,
  passes: (candidate, constraints) => oneOf(constraints.experts, candidate.expert),
};

const policy: Filter = {
  name: 'policy',
  describe: () => 'is allowed by the tenant’s policy',
  passes: (candidate, { policy: rules }) =>
    rules === undefined ||
    (oneOf(rules.allowedExperts, candidate.expert) &&
      (rules.maxParameters === 0 || candidate.parameterCount <= rules.maxParameters)),
};

const licence: Filter = {
  name: 'licence',
  describe: ({ policy: rules }) => `has a licence of ${rules?.allowedLicences.join(', ') ?? 'any kind'}`,
  passes: (candidate, { policy: rules }) =>
    rules === undefined || oneOf(rules.allowedLicences, candidate.licence),
};

const trust: Filter = {
  name: 'trust',
  describe: ({ policy: rules }) => `has a trust of at least ${rules?.minTrust ?? 0}`,
  passes: (candidate, { policy: rules }) => candidate.trust >= (rules?.minTrust ?? 0),
};

const context: Filter = {
  name: 'context',
  describe: ({ contextTokens }) => `takes at least ${contextTokens} tokens`,
  // 0 on either side means unknown.
  passes: (candidate, { contextTokens }) =>
    contextTokens === 0 || candidate.maxTokens === 0 || candidate.maxTokens >= contextTokens,
};

const limit: Filter = {
  name: 'limit',
  describe: ({ limits }) =>
    limits
      .map(
        (item) =>
          `${item.name} ${item.atMost === undefined ? `>= ${item.atLeast ?? 0}` : `<= ${item.atMost}`}`,
      )
      .join(', ') || 'no limit',
  passes: (candidate, { limits }) =>
    limits.every(({ name, atMost, atLeast }) => {
      const value = candidate.properties[name];
      // What nobody has measured cannot be promised to keep a limit.
      if (value === undefined) return false;
      return (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast);
    }),
};

/** The built-in filters, in the order in which they are asked; the first that rejects is the one that is named. */
export const FILTERS: readonly Filter[] = [
  task,
  channel,
  head,
  tenant,
  policy,
  licence,
  trust,
  experts,
  health,
  context,
  limit,
];
