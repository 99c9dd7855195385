// Regenerates everything that is generated from proto/. With --check it fails when the committed code differs.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const buf = fileURLToPath(new URL('../node_modules/@bufbuild/buf/bin/buf', import.meta.url));
const generated = ['libs/contracts/src/gen', 'libs/onnx-graph/src/codec/gen'];

execFileSync(process.execPath, [buf, 'generate'], { cwd: root, stdio: 'inherit' });
execFileSync(process.execPath, [buf, 'generate', '--template', 'buf.gen.onnx.yaml'], {
  cwd: root,
  stdio: 'inherit',
});

if (process.argv.includes('--check')) {
  const changed = execFileSync('git', ['status', '--porcelain', '--', ...generated], {
    cwd: root,
    encoding: 'utf8',
  });
  if (changed !== '') {
    process.stderr.write(
      `Generated code differs from what is committed; run "npm run generate" and commit:\n${changed}`,
    );
    process.exit(1);
  }
}
