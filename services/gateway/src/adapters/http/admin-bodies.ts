import { FLAG_NAMES } from '@thalamus/routing';
import { z } from 'zod';
import { riskField } from './bodies.js';

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const name = (what: string) =>
  z.string().regex(NAME, `must be ${what}: 1 to 63 lower-case letters, digits and hyphens`);
const tenants = z.array(name('a tenant')).max(256);
const price = z.number().min(0).max(1e6);
const expectedRevision = z
  .int()
  .min(0)
  .optional()
  .describe('Revision that the resource is expected to have; 0: it must not exist; left out: any.');

/** Body of POST /admin/v1/experts. */
export const remoteExpertBody = z
  .strictObject({
    name: name('a name'),
    description: z
      .string()
      .min(1, 'must not be empty')
      .max(2000)
      .describe('What it is good at, one or two sentences.'),
    baseUrl: z
      .url({ protocol: /^https?$/, error: 'must be an http or https address' })
      .max(512)
      .describe('OpenAI-compatible endpoint, up to and including /v1.'),
    model: z.string().min(1, 'must not be empty').max(256).describe('Name of the model there.'),
    keyReference: z
      .string()
      .regex(/^(env:[A-Z][A-Z0-9_]*API_KEY|file:[\w-][\w.-]*)$/, 'must be env:NAME_API_KEY or file:name')
      .optional()
      .describe(
        'Where the gateway finds the key: env:NAME_API_KEY, or file:name in THALAMUS_UPSTREAM_KEY_FOLDER. Never the key.',
      ),
    prices: z
      .strictObject({ inputUsdPerMtok: price, outputUsdPerMtok: price })
      .describe('USD for a million tokens in and out; 0 for free.'),
    version: z
      .string()
      .regex(/^[1-9][0-9]{0,17}$/, 'must be a decimal version')
      .optional()
      .describe('Default: the next one.'),
    maxTokens: z.int().min(1).default(8192).describe('Longest input and output together, tokens.'),
    parameterCount: z.int().min(0).default(0).describe('Parameters in all; 0: not known.'),
    flopsPerToken: z.number().min(0).default(0).describe('Floating point operations a token; 0: not known.'),
    licence: z.string().min(1).max(128).default('LicenseRef-proprietary').describe('SPDX identifier.'),
    tenants: tenants.default([]).describe('Tenants that may use a new expert; empty: all.'),
    expectedRevision,
  })
  .meta({ title: 'RemoteExpert' });

/** Body of POST /admin/v1/experts/{name}/channels. */
export const channelBody = z
  .strictObject({
    channel: z.enum(['stable', 'candidate', 'shadow'], 'must be stable, candidate or shadow'),
    version: z
      .string()
      .regex(/^([1-9][0-9]{0,17})?$/, 'must be a decimal version, or empty to clear candidate or shadow'),
    reason: z.string().max(500).default('').describe('Why, for the audit; stable needs one.'),
    expectedRevision,
  })
  .refine(({ channel, reason }) => channel !== 'stable' || reason.trim() !== '', {
    message: 'must say why the version becomes stable',
    path: ['reason'],
  })
  .refine(({ channel, version }) => channel !== 'stable' || version !== '', {
    message: 'must name a version: the stable channel cannot be cleared',
    path: ['version'],
  })
  .meta({ title: 'ChannelChange' });

/** Body of PUT /admin/v1/policies/{tenant}; what is left out is not limited. */
export const policyBody = z
  .strictObject({
    allowedExperts: z.array(name('an expert')).max(10_000).default([]).describe('Empty: all.'),
    allowedLicences: z.array(z.string().min(1).max(128)).max(256).default([]).describe('SPDX; empty: all.'),
    minTrust: z.number().min(0).max(1).default(0),
    defaultWeights: z
      .partialRecord(z.enum(FLAG_NAMES, 'is no flag'), z.number().min(0))
      .default({})
      .describe('Lambda in nats by flag, for requests that name none.'),
    maxParameters: z.int().min(0).default(0).describe('0: no limit.'),
    requestsPerSecond: z.number().min(0).default(0).describe('0: no limit.'),
    maxInFlight: z.int().min(0).max(1_000_000).default(0).describe('0: no limit.'),
    fallbackExpert: z
      .union([z.literal(''), name('an expert')])
      .default('')
      .describe(
        'Asked when the router abstains; empty, or of another task than asked for: the caller gets NO_SUITABLE_EXPERT.',
      ),
    risk: riskField
      .nullable()
      .default(null)
      .describe('Bound that every routed request keeps; null: none. A request may ask for a stricter one.'),
    onlineCorrection: z
      .enum(['on', 'frozen', 'off'], 'must be on, frozen or off')
      .default('on')
      .describe(
        'on: feedback corrects predictions; frozen: it changes nothing more; off: nor are decisions of the tenant corrected.',
      ),
    correctionsResetAt: z.iso
      .datetime()
      .nullable()
      .default(null)
      .describe(
        'In the policy of default alone: corrections and drift alarms that began before this are forgotten.',
      ),
    exploration: z
      .strictObject({
        epsilon: z
          .number()
          .min(0)
          .max(1)
          .describe('Probability with which any of the pool is picked, each alike.'),
        pool: z.int().min(1).max(256).describe('Largest number of the pool, the best included.'),
        within: z.number().min(0).describe('Largest total above that of the best, in the loss unit.'),
      })
      .nullable()
      .default(null)
      .describe(
        'Whether experts other than the best may be picked; null: never, nor with a bound on the risk.',
      ),
    expectedRevision,
  })
  .meta({ title: 'Policy' });

/** Body of POST /admin/v1/keys. */
export const keyBody = z
  .strictObject({
    tenant: name('a tenant').optional().describe('Default: the tenant of the caller.'),
    role: z.enum(['viewer', 'operator', 'admin'], 'must be viewer, operator or admin'),
    description: z.string().max(500).default('').describe('What it is for.'),
  })
  .meta({ title: 'KeyWish' });

/** Query of DELETE /admin/v1/experts/{name}. */
export const removalQuery = z.strictObject({
  expectedRevision: z.coerce.number('must be a revision').int().min(0).optional(),
});
