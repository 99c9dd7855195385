import { encodeModel, GraphBuilder, graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { linearGraph, PICO_CONFIG, picoEncoder, picoHead, picoTokenizer } from '@thalamus/testing';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const { hiddenSize: WIDTH } = PICO_CONFIG;

/** What is written into a folder: texts, bytes, or values that become JSON. */
export type Files = Readonly<Record<string, string | Uint8Array | object>>;

/** Writes files below a folder, which it makes. */
export async function writeFiles(folder: string, files: Files): Promise<string> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    const isRaw = typeof content === 'string' || content instanceof Uint8Array;
    await writeFile(join(folder, name), isRaw ? content : JSON.stringify(content));
  }
  return folder;
}

/** How a graph differs from what exporters write. */
export interface Oddities {
  readonly inputs?: readonly string[];
  readonly dimensions?: readonly (string | number)[];
  readonly output?: string;
  /** Size of the last axis in the declaration; default: the number of labels. */
  readonly declared?: string | number;
}

function encoder({ inputs = ['input_ids', 'attention_mask'], dimensions = ['batch', 'sequence'] }: Oddities) {
  const builder = new GraphBuilder();
  const made = inputs.map((name) => [name, builder.input(name, 'int64', [...dimensions])] as const);
  const bindings = Object.fromEntries(made.filter(([name]) => /^(input_ids|attention_mask)$/.test(name)));
  return { builder, outputs: builder.embed(picoEncoder(), '', bindings) };
}

/** A classifier over the pico encoder, with the head of `picoHead`. */
export function classifierGraph(labels: number, odd: Oddities = {}): OnnxModel {
  const { builder, outputs } = encoder(odd);
  const { weights, bias } = picoHead(labels, 51);
  const head = builder.constant('head', tensor('float32', [labels, WIDTH], weights));
  const turned = builder.node('Transpose', [head]);
  const product = builder.node('MatMul', [outputs['embedding'] ?? '', turned]);
  const added = builder.constant('bias', tensor('float32', [labels], bias));
  const sum = builder.node('Add', [product, added], { name: odd.output ?? 'logits' });
  builder.output(sum, 'float32', ['batch', odd.declared ?? labels]);
  return builder.build({ name: 'classifier' });
}

/** The encoder with one output, the states of tokens or the vector of a text. */
export function encoderGraph(name: string, odd: Oddities = {}): OnnxModel {
  const { builder, outputs } = encoder(odd);
  const isStates = name !== 'sentence_embedding';
  const value = builder.node('Identity', [outputs[isStates ? 'last_hidden_state' : 'embedding'] ?? ''], {
    name,
  });
  const width = odd.declared ?? WIDTH;
  builder.output(value, 'float32', isStates ? ['batch', 'sequence', width] : ['batch', width]);
  return builder.build({ name: 'encoder' });
}

/** A masked language model over the pico encoder: the states times a matrix of words. */
export function maskedGraph(words: number): OnnxModel {
  const { builder, outputs } = encoder({});
  const data = Float32Array.from({ length: WIDTH * words }, (_, at) => Math.sin(at));
  const matrix = builder.constant('words', tensor('float32', [WIDTH, words], data));
  const logits = builder.node('MatMul', [outputs['last_hidden_state'] ?? '', matrix], { name: 'logits' });
  builder.output(logits, 'float32', ['batch', 'sequence', words]);
  return builder.build({ name: 'masked' });
}

/** Files of a classifier as Optimum exports it. */
export function exportFiles(
  model: OnnxModel = classifierGraph(3),
  config: object = {},
): Record<string, string | Uint8Array | object> {
  return {
    'config.json': {
      architectures: ['BertForSequenceClassification'],
      model_type: 'bert',
      id2label: { 0: 'no', 1: 'maybe', 2: 'yes' },
      max_position_embeddings: PICO_CONFIG.maxPositions,
      hidden_size: WIDTH,
      vocab_size: 100,
      ...config,
    },
    'tokenizer.json': picoTokenizer(),
    'tokenizer_config.json': { model_max_length: 24, tokenizer_class: 'BertTokenizer' },
    'model.onnx': encodeModel(model),
  };
}

/** A configuration of Triton for `linearGraph`. */
export const LINEAR_CONFIG = `# y = x W + b
name: "linear"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 2 ] } ]
output [
  {
    name: "y"
    data_type: TYPE_FP32
    dims: [ 3 ]
  }
]
instance_group [ { count: 2, kind: KIND_CPU } ]
dynamic_batching { max_queue_delay_microseconds: 100 }
`;

/** Files of a model of an OIP repository. */
export function repositoryFiles(config: string = LINEAR_CONFIG): Record<string, string | Uint8Array> {
  return { 'config.pbtxt': config, '1/model.onnx': encodeModel(linearGraph()) };
}

/** Moves the head of a classifier into external data, and gives these. */
export function movedOut(model: OnnxModel, location: string): Uint8Array {
  const head = graphOf(model).initializer.find(({ name }) => name === 'head');
  if (!head) throw new Error('the graph has no head');
  const data = head.rawData;
  const entry = { $typeName: 'onnx.StringStringEntryProto', key: 'location', value: location };
  // 1 is TensorProto.EXTERNAL.
  Object.assign(head, { rawData: new Uint8Array(0), dataLocation: 1, externalData: [entry] });
  return data;
}
