import {
  artifactSettings,
  busSettings,
  dataSettings,
  defineSettings,
  grpcSettings,
  opsSettings,
  setting,
  telemetrySettings,
  type SettingsValues,
} from '@thalamus/config';
import { z } from 'zod';

/** Settings of the updater. */
export const updaterSettings = defineSettings({
  ...grpcSettings(7401),
  ...opsSettings(7501),
  ...busSettings(),
  ...telemetrySettings(),
  ...dataSettings('updater'),
  artifactsFolder: artifactSettings().artifactsFolder,
  bootstrapKeyFile: setting(
    'THALAMUS_BOOTSTRAP_KEY_FILE',
    z.string().optional(),
    'File that the first administrator’s key is written to while the registry holds no key; unset: none is made.',
  ),
});

/** Values of the settings. */
export type UpdaterSettings = SettingsValues<typeof updaterSettings>;
