// The closed schema of the chart's values. Which settings a service has, and of which type, comes from its own config, so that
// a wrong one is refused by helm and not by a pod that does not start.
import { z } from 'zod';
import { SERVICES, settingsOf } from './services.mjs';

/** Settings that the chart decides itself: to set them would contradict the rest of the manifest. */
const DECIDED = new Set([
  'THALAMUS_HOST',
  'THALAMUS_GRPC_PORT',
  'THALAMUS_HTTP_PORT',
  'THALAMUS_OPS_PORT',
  'THALAMUS_DATA',
  'THALAMUS_BUS',
  'THALAMUS_BUS_FILE',
  'THALAMUS_KAFKA_BROKERS',
  'THALAMUS_DRAIN_MS',
  'THALAMUS_READINESS_GRACE_MS',
  'THALAMUS_ADVERTISE',
  'THALAMUS_LOG_LEVEL',
  'THALAMUS_OTLP_ENDPOINT',
  'THALAMUS_TRACE_RATIO',
  'THALAMUS_ROUTER_ADDRESS',
  'THALAMUS_UPDATER_ADDRESS',
  'THALAMUS_ARTIFACTS',
  'THALAMUS_ARTIFACTS_FOLDER',
  'THALAMUS_BOOTSTRAP_KEY_FILE',
  'THALAMUS_UPSTREAM_KEY_FOLDER',
]);

const object = (properties, required = []) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...(required.length > 0 ? { required } : {}),
});
const string = (extra = {}) => ({ type: 'string', ...extra });
const switched = { type: 'boolean' };
const whole = (minimum) => ({ type: 'integer', minimum });
const quantity = { type: ['string', 'number'], pattern: '^[0-9]+(\\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$' };
const amounts = object({ cpu: quantity, memory: quantity, 'ephemeral-storage': quantity });
const resources = object({ requests: amounts, limits: amounts });
const words = { type: 'object', additionalProperties: { type: 'string' } };
const objects = { type: 'array', items: { type: 'object' } };
const named = (required) => ({ type: 'array', items: { type: 'object', required } });
const autoscaling = object({
  enabled: switched,
  minReplicas: whole(1),
  maxReplicas: whole(1),
  targetCpuPercent: { type: 'integer', minimum: 1, maximum: 100 },
});
/** Environment variables beside the settings, such as a key that an upstream names; a setting belongs into settings. */
const extraEnv = {
  type: 'array',
  items: object(
    { name: string({ not: { pattern: '^THALAMUS_' } }), value: string(), valueFrom: { type: 'object' } },
    ['name'],
  ),
};

/** What each service has beside what all have, by its name in the values. */
const OWN = {
  gateway: { dataSize: quantity, upstreamKeys: object({ existingSecret: string() }), autoscaling },
  router: { dataSize: quantity, autoscaling },
  expertHost: { dataSize: quantity, autoscaling },
  updater: {
    bootstrapKey: switched,
    artifacts: object({
      existingClaim: string(),
      size: quantity,
      storageClass: string(),
      accessMode: { enum: ['ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany'] },
    }),
  },
  composer: { dataSize: quantity },
  worker: { dataSize: quantity },
};

/** The schema, with the settings of every built service in it. */
export async function valuesSchema() {
  const services = {};
  for (const [name, folder] of Object.entries(SERVICES))
    services[name] = object({
      replicas: whole(0),
      settings: await settingsSchema(folder),
      extraEnv,
      extraVolumes: named(['name']),
      extraVolumeMounts: named(['name', 'mountPath']),
      resources,
      ...OWN[name],
    });
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the Thalamus chart',
    ...object({
      // A chart that has this one below it may put more into global.
      global: { type: 'object', properties: { imageRegistry: string() } },
      image: object({
        repository: string({ minLength: 1 }),
        tag: string(),
        digest: string({ pattern: '^(sha256:[0-9a-f]{64})?$' }),
        pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
      }),
      imagePullSecrets: { type: 'array', items: object({ name: string() }, ['name']) },
      serviceAccount: object({ create: switched, name: string(), annotations: words }),
      kafka: object({ brokers: { type: 'array', items: string({ pattern: '^[^\\s:]+:[0-9]+$' }) } }),
      telemetry: object({
        otlpEndpoint: string({ pattern: '^(https?://.+)?$' }),
        traceRatio: { type: 'number', minimum: 0, maximum: 1 },
        logLevel: { enum: ['debug', 'info', 'warn', 'error'] },
      }),
      terminationGracePeriodSeconds: whole(1),
      drainMs: whole(0),
      readinessGraceMs: whole(0),
      podLabels: words,
      podAnnotations: words,
      nodeSelector: words,
      tolerations: objects,
      affinity: { type: 'object' },
      priorityClassName: string(),
      extraObjects: named(['apiVersion', 'kind', 'metadata']),
      networkPolicy: object({
        enabled: switched,
        gatewayFrom: objects,
        metricsFrom: objects,
        operatorsFrom: objects,
        kafkaTo: objects,
        telemetryTo: objects,
        upstreamTo: objects,
        upstreamPorts: { type: 'array', items: { type: 'integer', minimum: 1, maximum: 65_535 } },
      }),
      serviceMonitor: object({ enabled: switched, interval: string({ pattern: '^[0-9]+(ms|s|m)$' }) }),
      alerts: object({ enabled: switched }),
      dashboards: object({ enabled: switched }),
      ingress: object({
        enabled: switched,
        className: string(),
        host: string(),
        tlsSecret: string(),
        annotations: words,
      }),
      ...services,
    }),
  };
}

async function settingsSchema(folder) {
  const rows = (await settingsOf(folder)).filter(({ variable }) => !DECIDED.has(variable));
  const properties = rows.map(({ variable, schema, description }) => [
    variable,
    { ...typeOf(schema), description },
  ]);
  return object(Object.fromEntries(properties.sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** The type of a setting; what is read from a text in a form of its own is a text here. */
function typeOf(setting) {
  return typeOfSchema(z.toJSONSchema(setting, { unrepresentable: 'any' }));
}

function typeOfSchema({ type = 'string', minimum, maximum, enum: choices, const: only, anyOf }) {
  if (anyOf) return { anyOf: anyOf.map(typeOfSchema) };
  return {
    type,
    ...(only === undefined ? {} : { const: only }),
    ...(choices === undefined ? {} : { enum: choices }),
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? {} : { maximum }),
  };
}
