import {
  busSettings,
  composerAddress,
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
  ...composerAddress(),
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
  composeAtOnce: setting(
    'THALAMUS_COMPOSE_AT_ONCE',
    count(1),
    'Compositions that are made at once because requests ask for them.',
  ),
  composeQueue: setting(
    'THALAMUS_COMPOSE_QUEUE',
    z.coerce.number('must be a number').int('must be a whole number').min(0).max(1_000).default(8),
    'Compositions that may wait to be made because requests ask for them; requests for more are routed among the parents.',
  ),
  composePerTenant: setting(
    'THALAMUS_COMPOSE_PER_TENANT',
    count(2),
    'Compositions of one tenant that are made or wait because its requests ask for them.',
  ),
  composeKept: setting(
    'THALAMUS_COMPOSE_KEPT',
    z.coerce.number('must be a number').int('must be a whole number').min(0).max(10_000).default(32),
    'Experts with a time to live up to which compositions are made because requests ask for them; 0: none is made.',
  ),
  composeTimeoutMs: setting(
    'THALAMUS_COMPOSE_TIMEOUT_MS',
    milliseconds(900_000),
    'How long making a composition that requests ask for may take, its wait in the composer included, milliseconds.',
  ),
  composeTimeToLiveMs: setting(
    'THALAMUS_COMPOSE_TIME_TO_LIVE_MS',
    z.coerce
      .number('must be a number of milliseconds')
      .int('must be whole milliseconds')
      .min(1_000, 'must be at least 1000')
      .default(86_400_000),
    'How long a composition that requests asked for stays without being used, milliseconds; whole seconds count.',
  ),
  composeFailureMs: setting(
    'THALAMUS_COMPOSE_FAILURE_MS',
    milliseconds(30_000),
    'How long a composition that could not be made is not tried again, milliseconds; at least four times as long as it ran.',
  ),
  candidateTimeoutMs: setting(
    'THALAMUS_CANDIDATE_TIMEOUT_MS',
    milliseconds(2_000),
    'How long the candidate of a release may take before the stable version is asked in its place, milliseconds; at most half of the time that a request has left.',
  ),
  mirrorAtOnce: setting(
    'THALAMUS_MIRROR_AT_ONCE',
    count(2),
    'Answered requests that candidates of releases answer as well at once.',
  ),
  mirrorQueue: setting(
    'THALAMUS_MIRROR_QUEUE',
    count(32),
    'Answered requests that wait for that, each in memory with its body; more are dropped.',
  ),
  mirrorPerSecond: setting(
    'THALAMUS_MIRROR_PER_SECOND',
    count(20),
    'Most answered requests a second that candidates answer as well, of all releases together; a release may ask for less.',
  ),
  mirrorTimeoutMs: setting(
    'THALAMUS_MIRROR_TIMEOUT_MS',
    milliseconds(5_000),
    'How long a candidate may take to answer a request that has been answered, milliseconds.',
  ),
  mirrorBusyShare: setting(
    'THALAMUS_MIRROR_BUSY_SHARE',
    z.coerce.number('must be a number').min(0).max(1).default(0.5),
    'Share of THALAMUS_MAX_IN_FLIGHT from which on candidates answer nothing besides, 0 to 1.',
  ),
  maxInFlight: setting('THALAMUS_MAX_IN_FLIGHT', count(512), 'Requests served at once; more are refused.'),
});

/** Values of the settings. */
export type GatewaySettings = SettingsValues<typeof gatewaySettings>;

/** The environment, for the keys of upstreams: their names are in the registry, not in the settings. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}
