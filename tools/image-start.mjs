// Entry point of the container image: `node start.mjs <service>` starts one service with telemetry; `node start.mjs check
// URL...` asks addresses until they answer.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));
const [service = '', ...rest] = process.argv.slice(2);
const mainOf = (name) => join(root, 'services', name, 'dist/main.js');
const known = readdirSync(join(root, 'services')).filter((name) => existsSync(mainOf(name)));

if (service === 'check') {
  const { checkAddresses } = await import('./check.mjs');
  process.exitCode = await checkAddresses(rest);
} else if (known.includes(service)) {
  process.argv = [process.argv[0], mainOf(service), ...rest];
  process.env.OTEL_SERVICE_NAME ??= `thalamus-${service}`;
  await import(pathToFileURL(join(root, 'libs/telemetry/dist/register.js')).href);
  await import(pathToFileURL(mainOf(service)).href);
} else {
  process.stderr.write(`Name the service to start: one of ${known.join(', ')}.\n`);
  process.exitCode = 2;
}
