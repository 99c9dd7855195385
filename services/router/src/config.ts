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
  maxQueue: setting('THALAMUS_MAX_QUEUE', count(512), 'Prompts that may wait; more are refused.'),
});

/** Values of the settings. */
export type RouterSettings = SettingsValues<typeof routerSettings>;
