import {
  artifactSettings,
  busSettings,
  count,
  dataSettings,
  defineSettings,
  grpcSettings,
  milliseconds,
  opsSettings,
  setting,
  telemetrySettings,
  updaterAddress,
  type SettingsValues,
} from '@thalamus/config';
import { z } from 'zod';

/** Settings of the router. */
export const routerSettings = defineSettings({
  ...grpcSettings(7402),
  ...opsSettings(7502),
  ...busSettings(),
  ...telemetrySettings(),
  ...dataSettings('router'),
  ...artifactSettings(),
  ...updaterAddress(),
  threads: setting('THALAMUS_INFERENCE_THREADS', count(1), 'Threads inside one operator of ONNX Runtime.'),
  maxBatch: setting('THALAMUS_MAX_BATCH', count(16), 'Prompts that are encoded at once.'),
  batchDelayMs: setting(
    'THALAMUS_BATCH_DELAY_MS',
    milliseconds(0),
    'How long the first prompt of a batch waits for others, milliseconds.',
  ),
  modelRetryMs: setting(
    'THALAMUS_ROUTER_MODEL_RETRY_MS',
    milliseconds(5_000),
    'Wait before a router model that could not be loaded is tried again, milliseconds.',
  ),
  promptCache: setting(
    'THALAMUS_PROMPT_CACHE',
    z.coerce.number('must be a number').int('must be a whole number').min(0).max(1_000_000).default(2_048),
    'Prompts of each router model whose prediction is kept, for when they come again; 0: none.',
  ),
  maxQueue: setting(
    'THALAMUS_MAX_QUEUE',
    count(512),
    'Prompts of one tenant that may wait; more are refused.',
  ),
});

/** Values of the settings. */
export type RouterSettings = SettingsValues<typeof routerSettings>;
