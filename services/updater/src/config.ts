import {
  advertiseSettings,
  artifactSettings,
  busSettings,
  count,
  defineSettings,
  grpcSettings,
  milliseconds,
  opsSettings,
  setting,
  signatureSettings,
  telemetrySettings,
  type SettingsValues,
} from '@thalamus/config';
import { z } from 'zod';

/** Settings of the updater. */
export const updaterSettings = defineSettings({
  ...grpcSettings(7401),
  ...advertiseSettings(),
  ...opsSettings(7501),
  ...busSettings(),
  ...telemetrySettings(),
  artifactsFolder: artifactSettings().artifactsFolder,
  ...signatureSettings(),
  probeRoundItems: setting(
    'THALAMUS_PROBE_ROUND_ITEMS',
    count(8),
    'Labelled probes of a live release that both its versions are asked in a round.',
  ),
  probeRoundMs: setting(
    'THALAMUS_PROBE_ROUND_MS',
    milliseconds(1_000),
    'From the end of such a round to the next, milliseconds; longer, up to a minute, after rounds in which hosts were away.',
  ),
  probesAtOnce: setting(
    'THALAMUS_PROBES_AT_ONCE',
    count(2),
    'Probes that are asked at once, of all releases together.',
  ),
  bootstrapKeyFile: setting(
    'THALAMUS_BOOTSTRAP_KEY_FILE',
    z.string().optional(),
    'File that the first administrator’s key is written to while the registry holds no key; unset: none is made.',
  ),
});

/** Values of the settings. */
export type UpdaterSettings = SettingsValues<typeof updaterSettings>;
