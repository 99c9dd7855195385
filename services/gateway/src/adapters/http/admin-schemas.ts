import { z } from 'zod';

const version = z.object({
  version: z.string(),
  kind: z.enum(['full', 'probe', 'lowrank', 'twin', 'upstream', 'unspecified']),
  channels: z.array(z.enum(['stable', 'candidate', 'shadow'])),
  parameterCount: z.int(),
  sizeBytes: z.int(),
  licence: z.string().describe('SPDX identifier.'),
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
  versions: z.array(version).describe('Newest first.'),
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
