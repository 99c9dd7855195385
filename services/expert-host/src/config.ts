import {
  advertiseSettings,
  artifactSettings,
  busSettings,
  bytes,
  count,
  dataSettings,
  defineSettings,
  grpcSettings,
  httpSettings,
  milliseconds,
  opsSettings,
  requestTimeoutSettings,
  setting,
  signatureSettings,
  telemetrySettings,
  updaterAddress,
  type SettingsValues,
} from '@thalamus/config';
import { z } from 'zod';

const AUTO = 'auto';
const PINNED = /^[a-z0-9][a-z0-9-]{0,62}(@[1-9]\d{0,18})?$/;
const PRIORITY = /^[a-z0-9][a-z0-9-]{0,62}=-?\d{1,6}$/;

const listed = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

const priorityOf = (entry: string): [string, number] => {
  const [expert = '', priority] = entry.split('=');
  return [expert, Number(priority)];
};

/** Settings of the expert host. */
export const hostSettings = defineSettings({
  ...grpcSettings(7403),
  ...advertiseSettings(),
  ...httpSettings(7603, 16 * 2 ** 20),
  ...requestTimeoutSettings(30_000),
  ...opsSettings(7503),
  ...busSettings(),
  ...telemetrySettings(),
  ...dataSettings('expert-host'),
  ...artifactSettings(),
  ...signatureSettings(),
  ...updaterAddress(),
  threads: setting(
    'THALAMUS_INFERENCE_THREADS',
    z.union([z.literal(AUTO), count(1)], 'must be auto, or a whole number of at least 1').default(AUTO),
    'Threads inside one operator of ONNX Runtime; auto: a calibration at the first start chooses.',
  ),
  weights: setting(
    'THALAMUS_INFERENCE_WEIGHTS',
    z.enum([AUTO, 'stored', 'expanded']).default(AUTO),
    'How quantised weights are held: stored, as they are; expanded, as float32; auto: a calibration at the first start chooses.',
  ),
  children: setting(
    'THALAMUS_INFERENCE_CHILDREN',
    z.union([z.literal(AUTO), count(1)], 'must be auto, or a whole number of at least 1').default(AUTO),
    'Most inference processes of one graph; there is more than one only while requests wait for it. auto: a calibration at the first start chooses.',
  ),
  maxBatch: setting('THALAMUS_MAX_BATCH', count(32), 'Most texts of a batch.'),
  maxBatchTokens: setting(
    'THALAMUS_MAX_BATCH_TOKENS',
    count(512),
    'Most tokens of a batch, padding included; one text alone may have more.',
  ),
  batchDelayMs: setting(
    'THALAMUS_BATCH_DELAY_MS',
    milliseconds(2),
    'How long the first item of a batch waits for others, milliseconds.',
  ),
  maxQueue: setting(
    'THALAMUS_MAX_QUEUE',
    count(512),
    'Texts, or requests of a graph of tensors, of one tenant that may wait for one graph; with several tenants waiting each has a share.',
  ),
  memoryLimitBytes: setting(
    'THALAMUS_MEMORY_LIMIT',
    bytes(2 * 2 ** 30),
    'Bytes that loaded experts may take; those beyond that are loaded when they are asked for.',
  ),
  memoryCounts: setting(
    'THALAMUS_MEMORY_COUNTS',
    z.enum(['resident', 'weights'], 'must be resident or weights').default('resident'),
    'What counts against THALAMUS_MEMORY_LIMIT: resident, all memory that inference processes have; weights, the bytes of weights alone.',
  ),
  pinnedExperts: setting(
    'THALAMUS_PINNED_EXPERTS',
    z
      .string()
      .default('')
      .transform(listed)
      .refine(
        (names) => names.every((name) => PINNED.test(name)),
        'must be experts, or expert@version, separated by commas',
      ),
    'Experts, or expert@version, that are loaded first and never let go to make room, separated by commas.',
  ),
  expertPriorities: setting(
    'THALAMUS_EXPERT_PRIORITIES',
    z
      .string()
      .default('')
      .transform(listed)
      .refine(
        (entries) => entries.every((entry) => PRIORITY.test(entry)),
        'must be expert=number, separated by commas',
      )
      .transform((entries) => new Map(entries.map(priorityOf))),
    'Priority of experts as expert=number, separated by commas; 0 where none is given. Lower ones are let go first.',
  ),
  maxLoadQueue: setting(
    'THALAMUS_MAX_LOAD_QUEUE',
    count(256),
    'Requests that may wait for experts to be loaded; more are refused.',
  ),
  childMemoryLimitBytes: setting(
    'THALAMUS_CHILD_MEMORY_LIMIT',
    bytes(3 * 2 ** 30),
    'Private memory that one inference process may have; a model that asks for more fails alone.',
  ),
  childSlackBytes: setting(
    'THALAMUS_CHILD_MEMORY_SLACK',
    bytes(384 * 2 ** 20),
    'Memory that an inference process may keep besides what its models need; one with more is exchanged.',
  ),
  runTimeoutMs: setting(
    'THALAMUS_RUN_TIMEOUT_MS',
    milliseconds(30_000),
    'A run that takes longer counts as hung and ends its process, milliseconds.',
  ),
  leaseMs: setting(
    'THALAMUS_RESIDENCY_LEASE_MS',
    milliseconds(10_000),
    'How long others believe that a silent host still has its experts, milliseconds.',
  ),
});

/** Values of the settings. */
export type HostSettings = SettingsValues<typeof hostSettings>;
