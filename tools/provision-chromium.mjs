// Finds Chromium, or gets it from the system's package manager when it runs as root.
//   node tools/provision-chromium.mjs    prints its path
import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const INSTALL = 'apt-get install --yes --no-install-recommends chromium';

/** Path of a Chromium that works. Throws an error that names the command to run. */
export function chromiumBinary() {
  const found = find();
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0) {
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update', '--quiet'], { stdio: 'ignore', env: environment });
    spawnSync('sh', ['-c', INSTALL], { stdio: 'ignore', env: environment });
    const installed = find();
    if (installed !== undefined) return installed;
  }
  throw new Error(
    `Chromium is not here: run "${INSTALL}" as root, or put one of ${NAMES.join(', ')} on the PATH`,
  );
}

function find() {
  return NAMES.flatMap((name) => {
    const { status, stdout } = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' });
    return status === 0 ? [stdout.trim()] : [];
  }).find((path) => spawnSync(path, ['--version'], { stdio: 'ignore' }).status === 0);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    console.log(chromiumBinary());
  } catch (fault) {
    console.error(fault.message);
    process.exit(1);
  }
}
