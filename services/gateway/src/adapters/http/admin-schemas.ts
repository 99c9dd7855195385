import { z } from 'zod';
import { policyBody } from './admin-bodies.js';

const version = z.object({
  version: z.string(),
  kind: z.enum(['full', 'probe', 'lowrank', 'twin', 'upstream', 'unspecified']),
  channels: z.array(z.enum(['stable', 'candidate', 'shadow'])),
  parameterCount: z.int(),
  sizeBytes: z.int(),
  licence: z.string().describe('SPDX identifier.'),
  prices: z
    .object({ inputUsdPerMtok: z.number(), outputUsdPerMtok: z.number() })
    .optional()
    .describe('USD for a million tokens in and out; absent when it costs nothing.'),
  evaluation: z.array(
    z.object({
      dataset: z.string(),
      split: z.string(),
      metric: z.string(),
      value: z.number(),
      n: z.int(),
    }),
  ),
  residents: z.array(
    z.object({
      host: z.string().describe('host:port of the expert host.'),
      state: z.string(),
      memoryBytes: z.number(),
      errorCode: z.string(),
    }),
  ),
});

const expert = z.object({
  name: z.string(),
  task: z.string(),
  description: z.string(),
  stable: z.string().describe('Version of the stable channel; empty when there is none.'),
  tenants: z.array(z.string()).describe('Tenants that may use it; empty: all.'),
  revision: z.int().describe('Revision of its last change, to be sent as expectedRevision.'),
  versions: z.array(version).describe('Newest first.'),
});

const losses = z
  .array(z.object({ step: z.int(), loss: z.number() }))
  .describe('Losses in nats, by step; empty where the bundle holds no log of a training.');

const revision = z.int().describe('Registry revision of the change.');
const time = z.iso.datetime().nullable();

const policy = z.object({
  object: z.literal('policy'),
  tenant: z.string(),
  ...policyBody.omit({ expectedRevision: true }).shape,
  revision,
  updatedAt: time,
  updatedBy: z.string().describe('Id of the key that wrote it.'),
});

const key = z.object({
  object: z.literal('key'),
  id: z.string().describe('The part of the key that is no secret.'),
  tenant: z.string(),
  role: z.enum(['viewer', 'operator', 'admin', 'unspecified']),
  description: z.string(),
  createdAt: time,
  revokedAt: time.describe('Null while it is valid.'),
});

/** Shapes of the answers of the admin API; a test checks that what is answered has them. */
export const adminAnswers = {
  session: z.object({
    object: z.literal('session'),
    tenant: z.string(),
    role: z.enum(['viewer', 'operator', 'admin']),
    key: z.string().describe('Id of the key, or anonymous.'),
  }),
  experts: z.object({ object: z.literal('list'), data: z.array(expert) }),
  training: z.object({
    object: z.literal('training'),
    expert: z.string(),
    version: z.string(),
    training: losses,
    validation: losses,
  }),
  registered: z.object({
    object: z.literal('expert'),
    name: z.string(),
    version: z.string(),
    stable: z.string().describe('Version of the stable channel: the first one of an expert, else as it was.'),
    revision,
  }),
  removed: z.object({
    object: z.literal('expert'),
    name: z.string(),
    deleted: z.literal(true),
    revision,
  }),
  channel: z.object({
    object: z.literal('channel'),
    expert: z.string(),
    channel: z.enum(['stable', 'candidate', 'shadow']),
    version: z.string(),
    revision,
  }),
  policies: z.object({ object: z.literal('list'), data: z.array(policy) }),
  policy,
  keys: z.object({ object: z.literal('list'), data: z.array(key) }),
  key,
  createdKey: key.extend({ secret: z.string().describe('The whole key; shown only here.') }),
  snapshot: z.object({
    at: z.string().describe('End of the second, ISO 8601.'),
    requestsPerSecond: z.number(),
    errorsPerSecond: z.number(),
    latencyMs: z.object({ p50: z.number(), p95: z.number() }).describe('Of the last 30 s.'),
    totals: z.object({ requests: z.int(), errors: z.int(), abstained: z.int() }),
    wins: z.array(z.object({ expert: z.string(), count: z.int() })).describe('Most first.'),
    costUsd: z.number(),
    dearestUsd: z.number().describe('What the dearest candidate would have cost for each of them.'),
  }),
} as const;
