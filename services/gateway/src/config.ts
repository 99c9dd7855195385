import {
  busSettings,
  bytes,
  count,
  dataSettings,
  defineSettings,
  grpcSettings,
  milliseconds,
  opsSettings,
  routerAddress,
  setting,
  telemetrySettings,
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
  httpPort: setting(
    'THALAMUS_HTTP_PORT',
    z.coerce.number('must be a port number').int().min(0).max(65_535).default(8080),
    'Port of the HTTP API; 0 picks a free one.',
  ),
  anonymous: setting(
    'THALAMUS_ANONYMOUS',
    z.enum(['off', 'viewer'], 'must be off or viewer').default('off'),
    'Whether callers without a key may ask, as viewers of the tenant default.',
  ),
  requestTimeoutMs: setting(
    'THALAMUS_REQUEST_TIMEOUT_MS',
    milliseconds(10_000),
    'Longest time a request may take; callers can ask for less, milliseconds.',
  ),
  maxBodyBytes: setting('THALAMUS_MAX_BODY_BYTES', bytes(1_048_576), 'Largest request body, bytes.'),
  maxInFlight: setting('THALAMUS_MAX_IN_FLIGHT', count(512), 'Requests served at once; more are refused.'),
});

/** Values of the settings. */
export type GatewaySettings = SettingsValues<typeof gatewaySettings>;
