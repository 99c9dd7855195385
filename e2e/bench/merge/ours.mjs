// One turn of bench:merge: node ours.mjs FOLDER
import { staticMethod, startStaticMerge } from '@thalamus/model-merge';
import { openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const startedAt = performance.now();
const { tensors, parents, method, density } = JSON.parse(readFileSync(join(folder, 'problem.json'), 'utf8'));
const files = ['base', ...parents].map((name) => openSync(join(folder, `${name}.bin`)));
const output = openSync(join(folder, 'merged-ours.bin'), 'w');
const parameters = { weight: 1, density };
const merge = startStaticMerge(staticMethod(method), {
  parents: parents.map((name) => ({ name, parameters })),
});

const sizeOf = ({ dims }) => dims.reduce((product, size) => product * size, 1);
const longest = Math.max(...tensors.map(sizeOf));
const buffers = [...files, output].map(() => new Float32Array(longest));
let mergeMs = 0;
let mergeCpuMicros = 0;
let at = 0;
for (const { name, dims } of tensors) {
  const length = sizeOf({ dims });
  const views = buffers.map((buffer) => buffer.subarray(0, length));
  files.forEach((file, index) => readSync(file, views[index], 0, 4 * length, at));
  const [base, ...rest] = views;
  const out = rest.pop();
  const group = {
    name,
    dims,
    base,
    parents: parents.map((parent, index) => ({ name: parent, data: rest[index] })),
  };
  const mergeAt = performance.now();
  const cpuAt = process.cpuUsage();
  merge.merge(group, out);
  mergeMs += performance.now() - mergeAt;
  const { user, system } = process.cpuUsage(cpuAt);
  mergeCpuMicros += user + system;
  writeSync(output, out, 0, 4 * length);
  at += 4 * length;
}
console.log(
  JSON.stringify({
    seconds: (performance.now() - startedAt) / 1e3,
    mergeSeconds: mergeMs / 1e3,
    peakBytes: process.resourceUsage().maxRSS * 1024,
    mergeCpuSeconds: mergeCpuMicros / 1e6,
  }),
);
