// Finds Prometheus and promtool, or gets them from the system's package manager when it runs as root.
import { spawnSync } from 'node:child_process';

const INSTALL = 'apt-get install --yes --no-install-recommends prometheus';

/** Path of a Prometheus that works. Throws an error that names the command to run. */
export const prometheusBinary = () => find('prometheus');

/** Path of a promtool that works. Throws an error that names the command to run. */
export const promtoolBinary = () => find('promtool');

function find(name) {
  if (works(name)) return name;
  if (process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0) {
    // The package would start a server of its own; nothing here needs it.
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    spawnSync('apt-get', ['update', '--quiet'], { stdio: 'ignore', env: environment });
    spawnSync('sh', ['-c', INSTALL], { stdio: 'ignore', env: environment });
    if (works(name)) return name;
  }
  throw new Error(`${name} is not here: run "${INSTALL}" as root, or put ${name} on the PATH`);
}

function works(name) {
  return spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0;
}
