// Vectors of all rows of a file from the shipped base, or from an expert on it, kept in node_modules/.cache by digest and content.
import { digestOf, openBundle } from '@thalamus/bundle';
import { OrtRuntime, TextEncoder, Tokenizer } from '@thalamus/inference';
import { embedTexts } from '@thalamus/training';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CACHE = 'node_modules/.cache/thalamus/embeddings';

/** The shipped base as an encoder. */
export async function openBase(folder = 'zoo/base/minilm-l6', runtime = new OrtRuntime()) {
  const bundle = await openBundle(folder);
  const session = await runtime.load({ path: bundle.filePath('model.onnx') }, { threads: 2 });
  const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
  const key = bundle.manifest.files.find((file) => file.path === 'model.onnx').sha256;
  return { bundle, encoder: new TextEncoder(tokenizer, session, bundle.manifest.maxTokens), key };
}

/** Vectors of texts by `encoder`; `key` names what they depend on beside the texts. */
export async function embedAll({ encoder, key: of }, texts, label) {
  mkdirSync(CACHE, { recursive: true });
  const key = digestOf(Buffer.from(`${of}\n${texts.join('\n')}`)).slice(7, 31);
  const path = join(CACHE, `${label}-${key}.f32`);
  if (existsSync(path)) return new Float32Array(new Uint8Array(readFileSync(path)).buffer);
  const onBatch = (done) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${label}: ${done}/${texts.length} `);
  };
  const { features: result } = await embedTexts(encoder, texts, { onBatch });
  if (process.stderr.isTTY) process.stderr.write('\n');
  writeFileSync(`${path}.tmp`, new Uint8Array(result.buffer));
  renameSync(`${path}.tmp`, path);
  return result;
}
