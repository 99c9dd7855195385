// Lays out what the container image holds: built services and libraries, their production dependencies, the console, the
// entry point. `node tools/image-layout.mjs DIR`; DIR must not exist or be empty.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** What the image can start. */
const SERVICES = ['gateway', 'router', 'expert-host', 'updater', 'composer', 'worker'];
/** Dependencies of a package as its manifest names them; those of development are no part of the image. */
const WANTED = ['dependencies', 'optionalDependencies', 'peerDependencies'];

const target = process.argv[2];
try {
  layOut(target);
  console.log(`image layout in ${target}: ${SERVICES.join(', ')}`);
} catch (fault) {
  console.error(fault.message);
  process.exit(1);
}

function layOut(folder) {
  if (folder === undefined) throw new Error('Name the folder to fill: node tools/image-layout.mjs DIR');
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new Error(`${folder} is not empty; name a new folder.`);
  const workspaces = workspacesOf(SERVICES.map((name) => `services/${name}`));
  mkdirSync(folder, { recursive: true });
  for (const workspace of workspaces) copyBuilt(workspace, join(folder, workspace));
  copyConsole(folder);
  cpSync(join(root, 'tools/image-start.mjs'), join(folder, 'start.mjs'));
  cpSync(join(root, 'tools/image-check.mjs'), join(folder, 'check.mjs'));
  writeManifests(folder, workspaces);
  execFileSync(
    'npm',
    ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: folder, stdio: 'inherit' },
  );
  pruneBinaries(join(folder, 'node_modules'));
}

/** The workspaces that these need, themselves included. */
function workspacesOf(entries) {
  const found = new Set(entries);
  for (const workspace of found)
    for (const name of Object.keys(manifest(workspace).dependencies ?? {}))
      if (name.startsWith('@thalamus/')) found.add(`libs/${name.slice('@thalamus/'.length)}`);
  return [...found].sort();
}

function manifest(workspace) {
  return JSON.parse(readFileSync(join(root, workspace, 'package.json'), 'utf8'));
}

function copyBuilt(workspace, to) {
  const dist = join(root, workspace, 'dist');
  if (!existsSync(dist)) throw new Error(`${workspace} is not built; run "npm run build".`);
  cpSync(dist, join(to, 'dist'), {
    recursive: true,
    filter: (path) => !/\.(map|tsbuildinfo|d\.ts)$/.test(path) && !/\.spec\.js$/.test(path),
  });
}

function copyConsole(folder) {
  const dist = join(root, 'services/console/dist');
  if (!existsSync(join(dist, 'index.html')))
    throw new Error('The console is not built; run "npm run build".');
  // Without the note of the build that says what it was made of.
  const filter = (path) => !path.endsWith('/.sources');
  cpSync(dist, join(folder, 'services/console/dist'), { recursive: true, filter });
}

/** Manifests and lock file of the workspaces alone, without what development needs. */
function writeManifests(folder, workspaces) {
  const { name, version, license, type } = manifest('.');
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const write = (path, value) => {
    writeFileSync(join(folder, path), `${JSON.stringify(value, null, 2)}\n`);
  };
  write('package.json', { name, version, license, private: true, type, workspaces });
  for (const workspace of workspaces) {
    const { scripts: _scripts, devDependencies: _development, nx: _nx, ...rest } = manifest(workspace);
    write(`${workspace}/package.json`, rest);
  }
  const packages = { '': { name, version, license, workspaces } };
  for (const path of neededOf(lock.packages, workspaces)) {
    const { devDependencies: _development, ...rest } = lock.packages[path];
    packages[path] = rest;
  }
  write('package-lock.json', { ...lock, packages });
  cpSync(join(root, '.npmrc'), join(folder, '.npmrc'));
}

/** Paths in the lock file that these workspaces need to run: what each names, found as Node would find it. */
function neededOf(packages, workspaces) {
  const links = Object.keys(packages).filter(
    (path) => packages[path].link === true && workspaces.includes(packages[path].resolved),
  );
  const needed = new Set([...workspaces, ...links]);
  for (const path of needed) {
    const entry = packages[path];
    for (const kind of WANTED)
      for (const name of Object.keys(entry[kind] ?? {})) {
        const found = lookUp(packages, path, name);
        if (found !== undefined) needed.add(found);
      }
  }
  return [...needed].sort();
}

/** Where the package of a name is for one at this path: in its own node_modules, or those of a folder above. */
function lookUp(packages, from, name) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(folder.lastIndexOf('/'), 0))) {
    const path = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (packages[path] !== undefined) return path;
    if (folder === '') return undefined;
  }
}

/** Native packages bring libraries for every platform; the image needs those of its own. */
function pruneBinaries(modules) {
  const runtime = join(modules, 'onnxruntime-node/bin');
  for (const abi of existsSync(runtime) ? readdirSync(runtime) : [])
    for (const platform of readdirSync(join(runtime, abi)))
      for (const arch of readdirSync(join(runtime, abi, platform)))
        if (platform !== process.platform || arch !== process.arch)
          rmSync(join(runtime, abi, platform, arch), { recursive: true });
  const tokenizers = join(modules, 'tokenizers');
  for (const file of existsSync(tokenizers) ? readdirSync(tokenizers) : [])
    if (
      /^tokenizers\..+\.node$/.test(file) &&
      !file.startsWith(`tokenizers.${process.platform}-${process.arch}`)
    )
      rmSync(join(tokenizers, file));
}
