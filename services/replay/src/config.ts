import { defineSettings, setting, type SettingsValues } from '@thalamus/config';
import { z } from 'zod';

/** Settings of the replay upstream. */
export const replaySettings = defineSettings({
  host: setting('THALAMUS_HOST', z.string().default('127.0.0.1'), 'Address to listen on.'),
  port: setting(
    'THALAMUS_HTTP_PORT',
    z.coerce.number('must be a port number').int().min(0).max(65_535).default(8082),
    'Port of the HTTP API; 0 picks a free one.',
  ),
  recordings: setting('THALAMUS_RECORDINGS', z.string(), 'File of recorded answers, JSON lines, gzipped.'),
  pace: setting(
    'THALAMUS_PACE',
    z.coerce.number('must be a number').min(0, 'must not be negative').default(1),
    'Factor on the time that answers take: 1 as recorded models do, 0 at once.',
  ),
});

/** Values of the settings. */
export type ReplaySettings = SettingsValues<typeof replaySettings>;

/** Where the settings are read from. */
export function environment(): NodeJS.ProcessEnv {
  return process.env;
}
