// The services of the chart, and what their own code says about them.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const services = fileURLToPath(new URL('../../services', import.meta.url));

/** Name in the values of the chart → folder, which is also the name in the image. */
export const SERVICES = {
  gateway: 'gateway',
  router: 'router',
  expertHost: 'expert-host',
  updater: 'updater',
  composer: 'composer',
  worker: 'worker',
};

/** The definition of a built service's settings, as `loadSettings` takes it. */
export async function settingsDefinition(folder) {
  const path = join(services, folder, 'dist/config.js');
  if (!existsSync(path)) throw new Error(`services/${folder} is not built; run "npm run build".`);
  return Object.values(await import(path)).find(
    (value) => typeof value === 'object' && value !== null && 'shape' in value,
  );
}

/** The settings of a service: `{ variable, schema, description }`. */
export async function settingsOf(folder) {
  return Object.values((await settingsDefinition(folder)).shape);
}

/**
 * What a service calls: by the address settings it has, and the hosts by what they announce, which shows in its sources as a
 * client of the Open Inference Protocol.
 */
export async function callsOf(folder) {
  const variables = new Set((await settingsOf(folder)).map(({ variable }) => variable));
  const named = Object.values(SERVICES).filter((name) =>
    variables.has(`THALAMUS_${name.toUpperCase().replaceAll('-', '_')}_ADDRESS`),
  );
  const sources = join(services, folder, 'src');
  const callsHosts = readdirSync(sources, { recursive: true })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
    .some((file) =>
      /createClient\(\s*inference\.GRPCInferenceService|new HostConnections\(/.test(
        readFileSync(join(sources, file), 'utf8'),
      ),
    );
  return {
    services: new Set(callsHosts ? [...named, 'expert-host'] : named),
    usesBus: variables.has('THALAMUS_KAFKA_BROKERS'),
    callsUpstreams: variables.has('THALAMUS_UPSTREAM_ALLOW'),
  };
}
