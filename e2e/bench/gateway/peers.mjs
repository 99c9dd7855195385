// Gets the peers that `npm run bench:gateway` and `npm run bench:host` measure beside ours, once, into a cache: they are no
// dependency of anything else.   node e2e/bench/gateway/peers.mjs [portkey] [litellm] [mlserver]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const HERE = fileURLToPath(import.meta.url);
/**
 * The HTTP server under Portkey's gateway. With later ones that its package allows, every streamed answer is a 500
 * (Portkey-AI/gateway issue 1389).
 */
const PORTKEY_HTTP_SERVER = '1.13.8';

/** Versions that are measured. */
export const PEERS = {
  portkey: {
    title: 'Portkey gateway',
    version: '1.15.2',
    install: installPortkey,
    stamp: `1.15.2, server ${PORTKEY_HTTP_SERVER}`,
  },
  litellm: { title: 'LiteLLM proxy', version: '1.106.12', install: python('litellm[proxy]') },
  mlserver: {
    title: 'MLServer',
    version: '1.7.1',
    install: python('mlserver', 'onnxruntime', 'tokenizers'),
  },
};

/** Folder of a peer: outside of the tree, so that several checkouts share it. */
export function peerFolder(name) {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'thalamus-bench', name);
}

/** Installs a peer unless it is there in this version. Throws an error that names the command to run. */
export function providePeer(name) {
  const { version, install, stamp: wanted = version } = PEERS[name];
  const folder = peerFolder(name);
  const stamp = join(folder, '.installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.error(`installing ${PEERS[name].title} ${version} into ${folder}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  install(folder, version);
  writeFileSync(stamp, wanted);
}

function installPortkey(folder, version) {
  const overrides = { '@hono/node-server': PORTKEY_HTTP_SERVER };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, overrides }));
  run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', `@portkey-ai/gateway@${version}`], {
    cwd: folder,
    missing: 'npm is not there; it comes with Node',
    failed: `the package @portkey-ai/gateway cannot be fetched: run "npm view @portkey-ai/gateway@${version}" to see why`,
  });
}

/** Installs a Python package, and more that it needs for what is measured, into a virtual environment. */
function python(name, ...more) {
  return (folder, version) => {
    run('python3', ['-m', 'venv', folder], {
      missing: 'Python 3.9 or later is not there: run "apt-get install -y python3 python3-venv"',
      failed: 'a virtual environment cannot be made: run "apt-get install -y python3-venv"',
    });
    run(
      join(folder, 'bin/pip'),
      ['install', '--quiet', '--disable-pip-version-check', `${name}==${version}`, ...more],
      {
        missing: 'pip is not there: run "apt-get install -y python3-venv"',
        failed: `the package ${name} cannot be fetched: run "python3 -m pip download --no-deps ${name}==${version}" to see why`,
      },
    );
  };
}

function run(command, args, { missing, failed, ...options }) {
  // Output goes to standard error: what the bench prints on standard output may be read by programs.
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2], ...options });
  if (error) throw new Error(error.code === 'ENOENT' ? missing : error.message);
  if (status !== 0) throw new Error(failed);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PEERS);
  for (const name of names) {
    if (!(name in PEERS)) {
      console.error(`There is no peer "${name}"; there are ${Object.keys(PEERS).join(', ')}.`);
      process.exit(2);
    }
  }
  try {
    for (const name of names) providePeer(name);
  } catch (fault) {
    console.error(`${HERE}: ${fault.message}`);
    process.exit(1);
  }
}
