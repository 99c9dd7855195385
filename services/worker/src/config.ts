import {
  artifactSettings,
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

/** Settings of the worker. It needs neither an event bus nor a gRPC server: it asks the updater. */
export const workerSettings = defineSettings(
  {
    host: grpcSettings(0).host,
    ...opsSettings(7505),
    ...telemetrySettings(),
    ...dataSettings('worker'),
    ...artifactSettings(),
    ...updaterAddress(),
    threads: setting('THALAMUS_INFERENCE_THREADS', count(1), 'Threads inside one operator of ONNX Runtime.'),
    leaseMs: setting(
      'THALAMUS_JOB_LEASE_MS',
      milliseconds(15_000),
      'How long a silent worker keeps its job before another may take it, milliseconds.',
    ),
    checkpointMs: setting(
      'THALAMUS_CHECKPOINT_MS',
      milliseconds(60_000),
      'How often the work done so far is stored, so that another worker can go on from there, milliseconds.',
    ),
  },
  ({ leaseMs }) =>
    leaseMs >= 500 && leaseMs <= 600_000
      ? []
      : [{ field: 'THALAMUS_JOB_LEASE_MS', description: `must be 500 to 600000 (got "${leaseMs}")` }],
);

/** Values of the settings. */
export type WorkerSettings = SettingsValues<typeof workerSettings>;
