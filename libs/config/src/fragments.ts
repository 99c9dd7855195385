import { z } from 'zod';
import { setting } from './settings.js';

const port = (value: number) =>
  z.coerce
    .number('must be a port number')
    .int('must be a whole number')
    .min(0, 'must be 0 to 65535')
    .max(65_535, 'must be 0 to 65535')
    .default(value);

/** A duration in milliseconds with a default. */
export const milliseconds = (value: number) =>
  z.coerce
    .number('must be a number of milliseconds')
    .int('must be whole milliseconds')
    .min(0, 'must not be negative')
    .default(value);

/** A byte count with a default. */
export const bytes = (value: number) =>
  z.coerce
    .number('must be a number of bytes')
    .int('must be whole bytes')
    .min(1, 'must be positive')
    .default(value);

/** A count with a default. */
export const count = (value: number) =>
  z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(1, 'must be at least 1')
    .default(value);

/** Where a gRPC server listens. */
export const grpcSettings = (defaultPort: number) => ({
  host: setting('THALAMUS_HOST', z.string().default('127.0.0.1'), 'Address that servers listen on.'),
  grpcPort: setting('THALAMUS_GRPC_PORT', port(defaultPort), 'Port of the gRPC server; 0 picks a free one.'),
});

/** Where an HTTP server listens, and the largest body that it reads. */
export const httpSettings = (defaultPort: number, maxBodyBytes: number) => ({
  httpPort: setting('THALAMUS_HTTP_PORT', port(defaultPort), 'Port of the HTTP API; 0 picks a free one.'),
  maxBodyBytes: setting('THALAMUS_MAX_BODY_BYTES', bytes(maxBodyBytes), 'Largest request body, bytes.'),
});

/** Bound of one request. */
export const requestTimeoutSettings = (defaultMs: number) => ({
  requestTimeoutMs: setting(
    'THALAMUS_REQUEST_TIMEOUT_MS',
    milliseconds(defaultMs),
    'Longest time a request may take; callers can ask for less, milliseconds.',
  ),
});

/** Where others reach the gRPC server of a service that tells them so. */
export const advertiseSettings = () => ({
  advertise: setting(
    'THALAMUS_ADVERTISE',
    z.string().optional(),
    'host:port under which others reach the gRPC server; default: the address it listens on.',
  ),
});

/** Where metrics and probes are served. */
export const opsSettings = (defaultPort: number) => ({
  opsPort: setting(
    'THALAMUS_OPS_PORT',
    port(defaultPort),
    'Port of /metrics, /healthz and /readyz; 0 picks a free one.',
  ),
  drainMs: setting(
    'THALAMUS_DRAIN_MS',
    milliseconds(10_000),
    'How long in-flight work may take after SIGTERM, milliseconds.',
  ),
  readinessGraceMs: setting(
    'THALAMUS_READINESS_GRACE_MS',
    milliseconds(0),
    'How long to stay up after readiness has been withdrawn, milliseconds.',
  ),
});

/** Which event bus, and where. */
export const busSettings = () => ({
  bus: setting(
    'THALAMUS_BUS',
    z.enum(['embedded', 'kafka'], 'must be embedded or kafka').default('kafka'),
    'Event bus: embedded (one machine) or kafka.',
  ),
  busFile: setting(
    'THALAMUS_BUS_FILE',
    z.string().default('data/events.sqlite'),
    'File of the embedded event log, shared by the processes of one machine.',
  ),
  kafkaBrokers: setting(
    'THALAMUS_KAFKA_BROKERS',
    z
      .string()
      .default('127.0.0.1:9092')
      .transform((text) => text.split(',').map((broker) => broker.trim()))
      .refine(
        (brokers) => brokers.every((broker) => /^[^\s:]+:\d+$/.test(broker)),
        'must be host:port, separated by commas',
      ),
    'Kafka brokers, host:port separated by commas.',
  ),
  kafkaConnectTimeoutMs: setting(
    'THALAMUS_KAFKA_CONNECT_TIMEOUT_MS',
    milliseconds(10_000),
    'How long to wait for Kafka at start, milliseconds.',
  ),
});

/** Logs and traces. */
export const telemetrySettings = () => ({
  logLevel: setting(
    'THALAMUS_LOG_LEVEL',
    z.enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error').default('info'),
    'Least severe log lines that are written.',
  ),
  otlpEndpoint: setting(
    'THALAMUS_OTLP_ENDPOINT',
    z.url('must be a URL').optional(),
    'OTLP/HTTP endpoint for traces, such as http://127.0.0.1:4318; unset: no traces are exported.',
  ),
  traceRatio: setting(
    'THALAMUS_TRACE_RATIO',
    z.coerce.number('must be a number').min(0, 'must be 0 to 1').max(1, 'must be 0 to 1').default(1),
    'Share of new traces that are recorded, 0 to 1.',
  ),
});

/** A folder of this service's own. */
export const dataSettings = (service: string) => ({
  dataFolder: setting(
    'THALAMUS_DATA',
    z.string().default(`data/${service}`),
    'Folder for this service’s own files.',
  ),
});

/** Whose signatures of bundles count, and whether they are needed. */
export const signatureSettings = () => ({
  trustedKeysFile: setting(
    'THALAMUS_TRUSTED_KEYS',
    z.string().min(1).optional(),
    'File with the public ed25519 keys, in PEM, whose signatures of bundles count; unset: none do.',
  ),
  signatures: setting(
    'THALAMUS_SIGNATURES',
    z.enum(['checked', 'required'], 'must be checked or required').default('checked'),
    'Whether bundles must be signed by a trusted key, or only may not be signed wrongly by one.',
  ),
});

/** Where artifacts come from. */
export const artifactSettings = () => ({
  artifacts: setting(
    'THALAMUS_ARTIFACTS',
    z.enum(['folder', 'updater'], 'must be folder or updater').default('updater'),
    'Where artifacts are read and written: a folder of this machine, or the updater.',
  ),
  artifactsFolder: setting(
    'THALAMUS_ARTIFACTS_FOLDER',
    z.string().default('data/artifacts'),
    'Folder of the artifact store, when THALAMUS_ARTIFACTS is folder.',
  ),
});

/** Address of another service. */
export const addressSetting = (variable: string, defaultAddress: string, service: string) =>
  setting(
    variable,
    z
      .string()
      .regex(/^[^\s:]+:\d+$/, 'must be host:port')
      .default(defaultAddress),
    `Address of the ${service}, host:port.`,
  );

/** Address of the updater. */
export const updaterAddress = () => ({
  updaterAddress: addressSetting('THALAMUS_UPDATER_ADDRESS', '127.0.0.1:7401', 'updater'),
});
/** Address of the router. */
export const routerAddress = () => ({
  routerAddress: addressSetting('THALAMUS_ROUTER_ADDRESS', '127.0.0.1:7402', 'router'),
});
/** Address of the composer. */
export const composerAddress = () => ({
  composerAddress: addressSetting('THALAMUS_COMPOSER_ADDRESS', '127.0.0.1:7404', 'composer'),
});
