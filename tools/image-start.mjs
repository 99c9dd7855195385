// Entry point of the container image: `node start.mjs <service>` starts one service with telemetry.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const [service = '', ...rest] = process.argv.slice(2);
const known = readdirSync(join(root, 'services')).filter((name) =>
  existsSync(join(root, 'services', name, 'dist/main.js')),
);
if (!known.includes(service)) {
  process.stderr.write(`Name the service to start: one of ${known.join(', ')}.\n`);
  process.exit(2);
}
const main = join(root, 'services', service, 'dist/main.js');
process.argv = [process.argv[0], main, ...rest];
process.env.OTEL_SERVICE_NAME ??= `thalamus-${service}`;
await import(pathToFileURL(join(root, 'libs/telemetry/dist/register.js')).href);
await import(pathToFileURL(main).href);
