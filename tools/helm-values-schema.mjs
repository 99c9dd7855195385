// The closed schema of the chart's values. Which settings a service has comes from its own config, so that a misspelt one
// is refused by helm and not by a pod that does not start.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

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
]);

const object = (properties, required = []) => ({
  type: 'object',
  additionalProperties: false,
  properties,
  ...(required.length > 0 ? { required } : {}),
});
const string = (description, extra = {}) => ({
  type: 'string',
  ...(description ? { description } : {}),
  ...extra,
});
const whole = (minimum) => ({ type: 'integer', minimum });
const quantity = { type: ['string', 'number'], pattern: '^[0-9.]+(m|k|Ki|M|Mi|G|Gi|T|Ti)?$' };
const amounts = object({ cpu: quantity, memory: quantity, 'ephemeral-storage': quantity });
const resources = object({ requests: amounts, limits: amounts });
const peers = { type: 'array', items: { type: 'object', additionalProperties: true } };
const autoscaling = object({
  enabled: { type: 'boolean' },
  minReplicas: whole(1),
  maxReplicas: whole(1),
  targetCpuPercent: { type: 'integer', minimum: 1, maximum: 100 },
});

/** The schema, with the settings of every built service in it. */
export async function valuesSchema() {
  const service = async (folder, extra) =>
    object({ replicas: whole(0), settings: await settingsSchema(folder), resources, ...extra });
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the Thalamus chart',
    ...object(
      {
        global: { type: 'object' },
        image: object({
          repository: string(),
          tag: string(),
          digest: string('sha256:<hex>; wins over the tag', { pattern: '^(sha256:[0-9a-f]{64})?$' }),
          pullPolicy: { enum: ['Always', 'IfNotPresent', 'Never'] },
        }),
        imagePullSecrets: { type: 'array', items: object({ name: string() }, ['name']) },
        kafka: object({
          brokers: { type: 'array', items: string('host:port', { pattern: '^[^\\s:]+:[0-9]+$' }) },
        }),
        telemetry: object({
          otlpEndpoint: string('http(s)://host:port', { pattern: '^(https?://.+)?$' }),
          traceRatio: { type: 'number', minimum: 0, maximum: 1 },
          logLevel: { enum: ['debug', 'info', 'warn', 'error'] },
        }),
        terminationGracePeriodSeconds: whole(1),
        drainMs: whole(0),
        readinessGraceMs: whole(0),
        podLabels: { type: 'object', additionalProperties: { type: 'string' } },
        podAnnotations: { type: 'object', additionalProperties: { type: 'string' } },
        nodeSelector: { type: 'object', additionalProperties: { type: 'string' } },
        tolerations: { type: 'array', items: { type: 'object' } },
        networkPolicy: object({
          enabled: { type: 'boolean' },
          gatewayFrom: peers,
          metricsFrom: peers,
          kafkaTo: peers,
        }),
        serviceMonitor: object({
          enabled: { type: 'boolean' },
          interval: string('', { pattern: '^[0-9]+(ms|s|m)$' }),
        }),
        alerts: object({ enabled: { type: 'boolean' } }),
        dashboards: object({ enabled: { type: 'boolean' } }),
        ingress: object({
          enabled: { type: 'boolean' },
          className: string(),
          host: string(),
          tlsSecret: string(),
        }),
        gateway: await service('gateway', { spoolSize: quantity, autoscaling }),
        router: await service('router', { cacheSize: quantity, autoscaling }),
        expertHost: await service('expert-host', { cacheSize: quantity, autoscaling }),
        updater: await service('updater', {
          artifacts: object({
            size: quantity,
            storageClass: string(),
            accessMode: { enum: ['ReadWriteOnce', 'ReadWriteOncePod', 'ReadWriteMany'] },
          }),
        }),
        composer: await service('composer', { cacheSize: quantity }),
        worker: await service('worker', { cacheSize: quantity }),
      },
      [],
    ),
  };
}

async function settingsSchema(folder) {
  const path = fileURLToPath(new URL(`../services/${folder}/dist/config.js`, import.meta.url));
  if (!existsSync(path)) throw new Error(`services/${folder} is not built; run "npm run build".`);
  const definition = Object.values(await import(path)).find(
    (value) => typeof value === 'object' && value !== null && 'shape' in value,
  );
  const rows = Object.values(definition.shape).filter(({ variable }) => !DECIDED.has(variable));
  const properties = rows.map(({ variable, description }) => [
    variable,
    { type: ['string', 'number', 'boolean'], description },
  ]);
  return object(Object.fromEntries(properties.sort(([a], [b]) => (a < b ? -1 : 1))));
}
