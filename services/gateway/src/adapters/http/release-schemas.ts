import { z } from 'zod';
import { flipSchema } from '../../application/admin/manage-releases.js';
import { VERDICTS } from '../../domain/release-verdict.js';
import { jobParameter } from './release-bodies.js';

const share = z.number().describe('0 to 1.');
const time = z.iso.datetime().nullable();

const rate = z
  .object({ count: z.int(), value: share, low: share, high: share })
  .describe('A share of the items with its 95 % interval.');

const slice = z.object({
  slice: z.string().describe('Such as label=refund; empty for all items.'),
  n: z.int().describe('Items.'),
  oldAccuracy: rate,
  newAccuracy: rate,
  negativeFlips: rate.describe('Right before, wrong now.'),
  positiveFlips: rate.describe('Wrong before, right now.'),
  inconsistentFlips: rate.describe('Wrong now, and not what was answered before.'),
  backwardTrust: share,
  mcnemarP: z.number().describe('Two-sided exact p-value of equal accuracy.'),
});

/** States of releases, as the admin API names them. */
export const STATES = [
  'unspecified',
  'draft',
  'compared',
  'repaired',
  'shadow',
  'canary',
  'stable',
  'rolled_back',
] as const;

/** How rules of gates stand, as the admin API names it. */
export const RULE_STATUSES = ['unspecified', 'pending', 'passed', 'failed', 'inconclusive'] as const;

const plan = z.object({
  steps: z.array(share).describe('Weights of the canary, in order.'),
  negativeFlipBudget: share,
  minimumSamples: z.int().describe('Requests that each step needs.'),
  stepSeconds: z.int(),
  mirrorShare: share,
  mirrorPerSecond: z.number(),
  disagreementLimit: share,
  errorLimit: share,
  latencyTolerance: z.number().describe("Share of the stable version's time."),
  level: share.describe('Chance that a sound candidate is ever taken back.'),
});

const tests = z.array(
  z.object({
    test: z.string().describe('Such as mirror.flips, canary.errors or probe.flips.'),
    trials: z.int(),
    events: z.int().describe('Those of them that speak against the candidate.'),
    rate: share,
    low: share.describe('Of the 95 % confidence sequence.'),
    high: share,
    limit: share.describe('Above it the candidate is taken back.'),
    pValue: z.number(),
    alarm: z.boolean(),
  }),
);

const reading = z.object({
  mirrored: z.int().describe('Mirrored requests that were compared.'),
  stableRequests: z.int(),
  candidateRequests: z.int(),
  feedback: z.int(),
  stepSamples: z.int().describe('Of the present step.'),
  probed: z.int().describe('Labelled probes that both versions have answered.'),
  tests,
});

const gate = z.object({
  name: z.string(),
  digest: z.string().describe('Of the document among the artifacts.'),
  rules: z.array(
    z.object({
      rule: z.string().describe('Its name.'),
      measure: z.string().describe('Such as nfr.'),
      data: z.string().describe('contract, offline, approvals, shadow, canary or probes.'),
      slice: z.string(),
      threshold: z.number().describe('Largest or smallest value that is good.'),
      status: z.enum(RULE_STATUSES),
      value: z.number().nullable(),
      n: z.int().nullable().describe('Items, requests or pairs that it rests on.'),
      sentence: z.string().describe('Why.'),
      approvals: z.int().describe('So many people let it pass when it is inconclusive; 0: nobody can.'),
    }),
  ),
  approvals: z.array(
    z.object({
      by: z.string().describe('Id of a key.'),
      reason: z.string(),
      at: time,
      state: z.enum(STATES).describe('It holds for the rules about this state.'),
    }),
  ),
});

const release = z.object({
  id: z.string(),
  expert: z.string(),
  fromVersion: z.string().describe('Stable before it.'),
  toVersion: z.string().describe('The candidate.'),
  state: z.enum(STATES),
  weight: share.describe('Share of callers who get the candidate.'),
  history: z
    .array(
      z.object({
        state: z.enum(STATES),
        at: time,
        by: z.string().describe('Id of a key, or the gate.'),
        reason: z.string(),
        evidence: z.array(z.string()).describe('Digests of artifacts.'),
      }),
    )
    .describe('Oldest first.'),
  comparison: z
    .object({
      verdict: z.enum(['unspecified', 'compatible', 'incompatible', 'inconclusive']),
      reason: z.string(),
      negativeFlipBudget: share,
      overall: slice.nullable(),
      slices: z.array(slice).describe('Largest first.'),
    })
    .nullable()
    .describe('Null when nothing was compared offline.'),
  gate: gate.nullable().describe('The gate that it goes by; null without one.'),
  plan: plan.nullable(),
  step: z.int().describe('Of the canary, from 1; 0 outside of it.'),
  stepBeganAt: time,
  trafficBeganAt: time.describe('When the candidate first got traffic.'),
  stopped: z.string().describe('Why it does not go on by itself; empty while it does.'),
  waitingFor: z.string().describe('What it waits for; empty where nobody says.'),
  probes: z
    .object({
      digest: z.string().describe('Of the file among the artifacts.'),
      items: z.int(),
    })
    .nullable()
    .describe('Labelled items that both versions are asked; null without any.'),
  repair: z
    .object({
      job: z.string().describe('Its id.'),
      parameters: z.record(z.string(), jobParameter).describe('Both versions, data set, method, seed.'),
      by: z.string().describe('Id of a key.'),
      at: time,
      replacedVersion: z.string().describe('Candidate before it.'),
      ended: z.boolean().describe('What it gave was taken, or was not.'),
    })
    .nullable()
    .describe('The last repair of the candidate that was asked for; null where none was.'),
  live: reading.nullable().describe('What live traffic says of the candidate; null where nobody says.'),
  gateway: z
    .object({
      weight: share,
      mirrorShare: share.describe('Of the requests to the stable version.'),
      mirrorPerSecond: z.number().describe('0: as many as the gateway allows.'),
      leaseEndsAt: time,
    })
    .nullable()
    .describe('What this gateway goes by now; null when traffic is no part of the release.'),
});

/** Shapes of the answers about releases. */
export const releaseAnswers = {
  releases: z.object({
    object: z.literal('list'),
    data: z
      .array(release)
      .describe('Newest first; fewer than were asked for where some are not for the caller to see.'),
    nextPageToken: z.string().nullable().describe('For the next page; null when there is none.'),
  }),
  release: release.extend({ object: z.literal('release') }),
  verdict: z.object({
    object: z.literal('verdict'),
    release: z.string().describe('Its id.'),
    expert: z.string(),
    from: z.string().describe('Stable before it.'),
    to: z.string().describe('The candidate.'),
    state: z.enum(STATES),
    verdict: z
      .enum(VERDICTS)
      .describe(
        'incompatible: taken back, a test in alarm, or compared so offline. compatible: promoted, or all steps have had what they need. Else inconclusive.',
      ),
    reason: z.string().describe('What the verdict rests on, or what is waited for.'),
    step: z.int().describe('Of the canary, from 1; 0 outside of it.'),
    weight: share.describe('Share of callers who get the candidate.'),
    samples: z.int().describe('Of the present step.'),
    nfr: z
      .object({ value: share, low: share, high: share })
      .nullable()
      .describe('Negative flips of the offline comparison; null without one.'),
    tests: tests.describe('Of live traffic; empty where nobody says.'),
  }),
  readings: z.object({
    object: z.literal('list'),
    release: z.string(),
    data: z.array(reading).describe('Oldest first.'),
  }),
  flips: z.object({
    object: z.literal('list'),
    release: z.string(),
    digest: z
      .string()
      .nullable()
      .describe('Artifact that holds all of them; null when nothing was compared offline.'),
    total: z.int(),
    data: z.array(flipSchema).describe('Negative ones first.'),
  }),
} as const;
