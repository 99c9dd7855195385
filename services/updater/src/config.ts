import {
  advertiseSettings,
  artifactSettings,
  busSettings,
  defineSettings,
  grpcSettings,
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
  bootstrapKeyFile: setting(
    'THALAMUS_BOOTSTRAP_KEY_FILE',
    z.string().optional(),
    'File that the first administrator’s key is written to while the registry holds no key; unset: none is made.',
  ),
});

/** Values of the settings. */
export type UpdaterSettings = SettingsValues<typeof updaterSettings>;
