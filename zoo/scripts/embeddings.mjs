// Vectors of all rows of a file from the shipped base, kept in node_modules/.cache by base digest and content.
import { digestOf, openBundle } from '@thalamus/bundle';
import { OrtRuntime, TextEncoder, Tokenizer } from '@thalamus/inference';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CACHE = 'node_modules/.cache/thalamus/embeddings';

export async function openBase(folder = 'zoo/base/minilm-l6') {
  const bundle = await openBundle(folder);
  const session = await new OrtRuntime().load({ path: bundle.filePath('model.onnx') }, { threads: 2 });
  const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
  return { bundle, encoder: new TextEncoder(tokenizer, session, bundle.manifest.maxTokens) };
}

export async function embedAll(base, texts, label) {
  mkdirSync(CACHE, { recursive: true });
  const model = base.bundle.manifest.files.find((file) => file.path === 'model.onnx').sha256;
  const key = digestOf(Buffer.from(`${model}\n${texts.join('\n')}`)).slice(7, 31);
  const path = join(CACHE, `${label}-${key}.f32`);
  if (existsSync(path)) return new Float32Array(new Uint8Array(readFileSync(path)).buffer);
  const order = texts.map((_, index) => index).sort((a, b) => texts[a].length - texts[b].length);
  const width = 384;
  const result = new Float32Array(texts.length * width);
  for (let from = 0; from < order.length; from += 16) {
    const rows = order.slice(from, from + 16);
    const { embeddings } = await base.encoder.encode(rows.map((row) => texts[row]));
    rows.forEach((row, index) => result.set(embeddings.subarray(index * width, (index + 1) * width), row * width));
    if (process.stderr.isTTY) process.stderr.write(`\r${label}: ${from + rows.length}/${texts.length} `);
  }
  if (process.stderr.isTTY) process.stderr.write('\n');
  writeFileSync(`${path}.tmp`, new Uint8Array(result.buffer));
  renameSync(`${path}.tmp`, path);
  return result;
}
