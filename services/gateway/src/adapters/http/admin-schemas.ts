import { routerEvaluationSchema } from '@thalamus/bundle';
import { z } from 'zod';
import { policyBody } from './admin-bodies.js';
import { compositionAnswers } from './composition-schemas.js';
import { releaseAnswers } from './release-schemas.js';

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

const host = z.object({
  id: z.string(),
  address: z.string().describe('host:port of its gRPC server.'),
  memory: z
    .object({
      limitBytes: z
        .int()
        .describe('Bytes that what is loaded may take at once: of memory or of weights, as it is set.'),
      ownBytes: z.int().describe('Bytes that loaded versions take for themselves.'),
      sharedBytes: z
        .int()
        .describe('Bytes of the bases that they share, and of the process that waits for a model.'),
      loadsWaiting: z.int().describe('Requests that wait for experts to be loaded.'),
      runsWaiting: z.int().describe('Texts, and requests of graphs of tensors, that wait for a run.'),
      restarts: z.int().describe('How often an inference process ended unasked since the host started.'),
      recycles: z.int().describe('How often one was exchanged because of the memory that it kept.'),
      evictions: z.int().describe('How often a version was let go to make room.'),
      processes: z.array(
        z.object({
          name: z.string().describe('expert@version of the graph that runs in it.'),
          pid: z.int().describe('On the machine of the host; 0 while it is started again.'),
          openBytes: z.int().describe('Bytes of the weights and rows that are open in it.'),
          residentBytes: z.int().describe('Resident memory; 0 where the system does not say.'),
        }),
      ),
      spareBytes: z
        .int()
        .describe('Resident memory of the process that waits for a model; 0: there is none.'),
      startedAt: z.iso.datetime().nullable(),
    })
    .nullable()
    .describe('Null for a host that does not say.'),
  versions: z
    .array(
      z.object({
        expert: z.string(),
        version: z.string(),
        state: z
          .string()
          .describe('registered (loaded when it is asked for), loading, ready, draining or failed.'),
        memoryBytes: z.int().describe('Bytes of weights that it needs, those of its base among them.'),
        ownBytes: z.int().describe('Those of them that it shares with nobody.'),
        isPinned: z.boolean().describe('Never let go to make room.'),
        priority: z.int().describe('Lower ones are let go first.'),
        lastUsedAt: z.iso.datetime().nullable().describe('Null before its first request.'),
        process: z.string().describe('Inference process that it runs in; empty while it is not loaded.'),
        waiting: z.int().describe('Requests that wait for it to be loaded.'),
        errorCode: z.string().describe('Why it could not be loaded; else empty.'),
      }),
    )
    .describe('By name.'),
  hidden: z.int().describe('Versions of experts that the caller may not use, which are left out.'),
});

const losses = z
  .array(z.object({ step: z.int(), loss: z.number() }))
  .describe('Losses in nats, by step; empty where the bundle holds no log of a training.');

const time = z.iso.datetime().nullable();

const router = z.object({
  name: z.string(),
  version: z.string(),
  task: z.string().describe('Task that it can decide for.'),
  active: z.boolean().describe('Whether it is the one that decides for its task.'),
  experts: z
    .array(z.string())
    .describe(
      'Experts that it has a head for; one that the caller may not use is called hidden-1 and so on.',
    ),
  hidden: z.int().describe('How many of them the caller may not use.'),
  activation: z
    .object({
      at: time,
      previous: z.string().nullable().describe('Router model that decided before, name@version.'),
      rolledBack: z.string().nullable().describe('Router model that was taken back for it, name@version.'),
      comparison: z.string().nullable().describe('sha256:<hex> of the stored comparison that was shown.'),
      reason: z.string().nullable().describe('Why, as who activated it said.'),
    })
    .nullable()
    .describe('How it came to decide, the last time that it did; null where it never did.'),
});

const revision = z.int().describe('Registry revision of the change.');

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
  hosts: z.object({ object: z.literal('list'), data: z.array(host).describe('By address.') }),
  training: z.object({
    object: z.literal('training'),
    expert: z.string(),
    version: z.string(),
    training: losses,
    validation: losses,
  }),
  routers: z.object({
    object: z.literal('list'),
    data: z.array(router).describe('By task; the one that decides for it first.'),
  }),
  evaluation: router.extend({
    object: z.literal('evaluation'),
    evaluation: routerEvaluationSchema
      .nullable()
      .describe(
        'evaluation.json of its bundle, as docs/reference/manifest.md has it; null where it holds none.',
      ),
  }),
  ...compositionAnswers,
  ...releaseAnswers,
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
