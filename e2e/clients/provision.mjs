// Gets the official clients that `npm run e2e:clients` and `npm run e2e:oip` ask with, once, into .cache: they are no dependency
// of anything else.   node e2e/clients/provision.mjs [npm] [python] [bin]
// What it cannot get it names, with the one command to run, and fails: nothing is skipped.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { VERSIONS } from './versions.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = join(root, '.cache/clients');
const requirements = fileURLToPath(new URL('requirements.txt', import.meta.url));
mkdirSync(cache, { recursive: true });

/** What there is to be had; without arguments all of it is. */
const KINDS = {
  npm: () => once('npm', VERSIONS.openai, installNpm),
  python: () =>
    once('python', createHash('sha256').update(readFileSync(requirements)).digest('hex'), installPython),
  bin: () => once('bin', `grpcurl ${VERSIONS.grpcurl}, ghz ${VERSIONS.ghz}`, installGoPrograms),
};

try {
  const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(KINDS);
  for (const kind of wanted) {
    if (!(kind in KINDS))
      throw new Error(`there is no kind "${kind}"; there are ${Object.keys(KINDS).join(', ')}`);
    KINDS[kind]();
  }
} catch (fault) {
  console.error(`cannot test the clients: ${fault.message}`);
  process.exit(1);
}

/** Installs into an empty folder of the cache unless the same was installed there to its end. */
function once(name, version, install) {
  const folder = join(cache, name);
  const stamp = join(folder, '.installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === version) return;
  console.log(`installing the clients of ${name} into ${folder}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  install(folder);
  writeFileSync(stamp, version);
}

function installNpm(folder) {
  writeFileSync(join(folder, 'package.json'), '{"private": true}\n');
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', `openai@${VERSIONS.openai}`], {
    cwd: folder,
    missing: 'npm is not there; it comes with Node',
    failed: 'the npm package openai cannot be fetched: check the registry with "npm ping"',
  });
}

function installPython(folder) {
  run('python3', ['-m', 'venv', folder], {
    missing: 'Python 3.9 or later is not there: run "apt-get install -y python3 python3-venv"',
    failed: 'a virtual environment cannot be made: run "apt-get install -y python3-venv"',
  });
  run(join(folder, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', '-r', requirements], {
    missing: 'pip is not there: run "apt-get install -y python3-venv"',
    failed: `the Python packages cannot be fetched: check with "python3 -m pip download --no-deps -r ${requirements}"`,
  });
}

function installGoPrograms(folder) {
  const programs = [
    ['grpcurl', `github.com/fullstorydev/grpcurl/cmd/grpcurl@v${VERSIONS.grpcurl}`],
    ['ghz', `github.com/bojand/ghz/cmd/ghz@v${VERSIONS.ghz}`],
  ];
  for (const [name, module] of programs)
    run('go', ['install', module], {
      env: { ...process.env, GOBIN: folder },
      missing: `Go is not there, which builds ${name}: run "apt-get install -y golang"`,
      failed: `${name} cannot be built: check the module proxy with "go env GOPROXY"`,
    });
}

function run(command, args, { missing, failed, ...options }) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error) throw new Error(error.code === 'ENOENT' ? missing : error.message);
  if (status !== 0) throw new Error(failed);
}
