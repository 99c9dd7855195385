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

/** Settings of the composer. It needs no event bus: it asks the updater when there is work. */
export const composerSettings = defineSettings({
  ...grpcSettings(7404),
  ...opsSettings(7504),
  ...telemetrySettings(),
  ...dataSettings('composer'),
  ...artifactSettings(),
  ...updaterAddress(),
  threads: setting('THALAMUS_INFERENCE_THREADS', count(1), 'Threads inside one operator of ONNX Runtime.'),
  maxQueue: setting(
    'THALAMUS_MAX_QUEUE',
    count(8),
    'Compositions that may wait while one is made; more are refused.',
  ),
  maxLossPoints: setting(
    'THALAMUS_MAX_LOSS_POINTS',
    count(20),
    'Most points of accuracy, of 100, that the task of a parent may lose in a composition; one that loses more is not registered.',
  ),
  probeRows: setting(
    'THALAMUS_PROBE_ROWS',
    count(40),
    'Most rows of each task that a preflight looks at where it is asked to estimate quality.',
  ),
  probeMs: setting(
    'THALAMUS_PROBE_MS',
    milliseconds(60_000),
    'How long such a probe may take, milliseconds; then the best estimate so far stands, or none.',
  ),
  stallMs: setting(
    'THALAMUS_STALL_MS',
    milliseconds(300_000),
    'A composing process that reports nothing for so long counts as hung and is ended, milliseconds.',
  ),
});

/** Values of the settings. */
export type ComposerSettings = SettingsValues<typeof composerSettings>;
