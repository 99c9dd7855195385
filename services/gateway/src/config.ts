import {
  busSettings,
  count,
  dataSettings,
  defineSettings,
  grpcSettings,
  httpSettings,
  milliseconds,
  opsSettings,
  requestTimeoutSettings,
  routerAddress,
  setting,
  telemetrySettings,
  updaterAddress,
  type SettingsValues,
} from '@thalamus/config';
import { z } from 'zod';

/** Settings of the gateway. */
export const gatewaySettings = defineSettings({
  ...grpcSettings(8081),
  ...opsSettings(7500),
  ...busSettings(),
  ...telemetrySettings(),
  ...dataSettings('gateway'),
  ...routerAddress(),
  ...updaterAddress(),
  ...httpSettings(8080, 1_048_576),
  ...requestTimeoutSettings(10_000),
  anonymous: setting(
    'THALAMUS_ANONYMOUS',
    z.enum(['off', 'viewer'], 'must be off or viewer').default('off'),
    'Whether callers without a key may ask, as viewers of the tenant default.',
  ),
  upstreamAllow: setting(
    'THALAMUS_UPSTREAM_ALLOW',
    z
      .string()
      .default('')
      .transform((text) =>
        text
          .split(',')
          .map((entry) => entry.trim())
          .filter((entry) => entry !== ''),
      ),
    'Hosts (host or host:port, separated by commas) that remote experts may have although their addresses are not public.',
  ),
  upstreamKeyFolder: setting(
    'THALAMUS_UPSTREAM_KEY_FOLDER',
    z.string().default('/run/secrets/thalamus'),
    'Folder of the files that hold keys of upstreams.',
  ),
  upstreamConnections: setting('THALAMUS_UPSTREAM_CONNECTIONS', count(64), 'Connections to one upstream.'),
  upstreamConnectTimeoutMs: setting(
    'THALAMUS_UPSTREAM_CONNECT_TIMEOUT_MS',
    milliseconds(3_000),
    'How long connecting to an upstream may take, milliseconds.',
  ),
  upstreamIdleTimeoutMs: setting(
    'THALAMUS_UPSTREAM_IDLE_TIMEOUT_MS',
    milliseconds(30_000),
    'Longest silence within an answer of an upstream, milliseconds.',
  ),
  upstreamPauseMs: setting(
    'THALAMUS_UPSTREAM_PAUSE_MS',
    milliseconds(5_000),
    'How long an upstream that keeps failing is left alone, milliseconds.',
  ),
  chatTimeoutMs: setting(
    'THALAMUS_CHAT_TIMEOUT_MS',
    milliseconds(300_000),
    'Longest time a chat answer may take from request to last token; callers can ask for less, milliseconds.',
  ),
  conversations: setting(
    'THALAMUS_CONVERSATIONS',
    z.coerce.number('must be a number').int('must be a whole number').min(0).max(1_000_000).default(10_000),
    'Conversations whose expert is remembered; of more, the tenant with most forgets its oldest; 0: none.',
  ),
  maxInFlight: setting('THALAMUS_MAX_IN_FLIGHT', count(512), 'Requests served at once; more are refused.'),
});

/** Values of the settings. */
export type GatewaySettings = SettingsValues<typeof gatewaySettings>;

/** The environment, for the keys of upstreams: their names are in the registry, not in the settings. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}
