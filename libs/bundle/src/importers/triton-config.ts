import type { DataType } from '@thalamus/tensor';
import { refusedFile } from '../low-rank-format.js';
import { parsePbtxt, PbtxtError, type PbtxtField } from './pbtxt.js';

/** An input or output that a configuration declares. */
export interface TritonValue {
  readonly name: string;
  readonly dtype: DataType;
  /** Sizes without that of the batch; -1 for one that varies. */
  readonly dims: readonly number[];
  readonly line: number;
}

/** The part of Triton's ModelConfig that describes a model for ONNX Runtime. */
export interface TritonConfig {
  readonly name: string | undefined;
  /** File of the graph in each version. */
  readonly graphFile: string;
  /** Whether the graph takes a batch on its first axis (`max_batch_size` above 0). */
  readonly isBatched: boolean;
  readonly inputs: readonly TritonValue[];
  readonly outputs: readonly TritonValue[];
  /** Fields that say how Triton runs a model, not what it computes. */
  readonly passedOver: readonly string[];
  readonly hasLabelFiles: boolean;
}

const RUNNING = new Set([
  'version_policy',
  'instance_group',
  'dynamic_batching',
  'optimization',
  'model_warmup',
  'response_cache',
  'model_transaction_policy',
  'model_metrics',
  'metric_tags',
  'parameters',
]);

/** Fields that change what a client sends and gets, and what is said of them. */
const REFUSED: Readonly<Record<string, string>> = {
  ensemble_scheduling: 'is not served: import each model of the ensemble alone',
  sequence_batching: 'is not served: the host keeps no state between requests',
  model_operations: 'loads a library of custom operators, which is never done',
  model_repository_agents: 'names agents that change the folder before it is loaded, which are not run',
  batch_input: 'is not served: inputs come from requests alone',
  batch_output: 'is not served',
  reshape: 'is not served: tensors have the shapes of the graph',
};

const DTYPES: Readonly<Record<string, DataType>> = {
  TYPE_BOOL: 'bool',
  TYPE_UINT8: 'uint8',
  TYPE_UINT16: 'uint16',
  TYPE_UINT32: 'uint32',
  TYPE_UINT64: 'uint64',
  TYPE_INT8: 'int8',
  TYPE_INT16: 'int16',
  TYPE_INT32: 'int32',
  TYPE_INT64: 'int64',
  TYPE_FP16: 'float16',
  TYPE_FP32: 'float32',
  TYPE_FP64: 'float64',
  TYPE_STRING: 'string',
  TYPE_BF16: 'bfloat16',
};

/** Fields of an input or output that change nothing here. */
const SHAPE_HINTS = new Set([
  'format',
  'optional',
  'is_shape_tensor',
  'is_non_linear_format_io',
  'label_filename',
]);

type Refuse = (line: number, description: string) => Error;

/**
 * Reads `config.pbtxt` (https://github.com/triton-inference-server/common, model_config.proto). A field that is not known, or that
 * would change what the model answers, is refused with its line.
 * @throws BUNDLE_INVALID
 */
export function readTritonConfig(folder: string, file: string, bytes: Uint8Array): TritonConfig {
  const refuse: Refuse = (line, description) => refusedFile(folder, file, `line ${line}`, description);
  const fields = parsed(bytes, refuse);
  const passedOver = new Set<string>();
  const single = new Map<string, PbtxtField>();
  const inputs: TritonValue[] = [];
  const outputs: TritonValue[] = [];
  let hasLabelFiles = false;
  for (const field of fields) {
    const { name, line, value } = field;
    if (REFUSED[name] !== undefined) throw refuse(line, `${name} ${REFUSED[name]}`);
    if (RUNNING.has(name)) passedOver.add(name);
    else if (name === 'input' || name === 'output') {
      if (value.kind !== 'message') throw refuse(line, `${name} must be a message in brackets`);
      (name === 'input' ? inputs : outputs).push(readValue(name, line, value.fields, refuse));
      hasLabelFiles ||= value.fields.some((inner) => inner.name === 'label_filename');
    } else if (['name', 'platform', 'backend', 'max_batch_size', 'default_model_filename'].includes(name)) {
      if (single.has(name)) throw refuse(line, `${name} is given twice`);
      single.set(name, field);
    } else throw refuse(line, `${name} is not a known field`);
  }
  checkBackend(single, refuse);
  return {
    name: textOf(single.get('name'), refuse),
    graphFile: graphFileOf(single.get('default_model_filename'), refuse),
    isBatched: numberOf(single.get('max_batch_size'), refuse) > 0,
    inputs,
    outputs,
    passedOver: [...passedOver],
    hasLabelFiles,
  };
}

function parsed(bytes: Uint8Array, refuse: Refuse): readonly PbtxtField[] {
  try {
    return parsePbtxt(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    if (cause instanceof PbtxtError) throw refuse(cause.line, cause.message.replace(/^line \d+: /, ''));
    throw refuse(1, 'the file is not text in UTF-8');
  }
}

function checkBackend(single: ReadonlyMap<string, PbtxtField>, refuse: Refuse): void {
  const [platform, backend] = [single.get('platform'), single.get('backend')];
  const pairs = [
    [platform, 'onnxruntime_onnx'],
    [backend, 'onnxruntime'],
  ] as const;
  for (const [field, wanted] of pairs) {
    const given = textOf(field, refuse);
    if (field && given !== undefined && given !== '' && given !== wanted)
      throw refuse(field.line, `${field.name} is "${given}"; "${wanted}" is served`);
  }
}

function readValue(kind: string, line: number, fields: readonly PbtxtField[], refuse: Refuse): TritonValue {
  const single = new Map<string, PbtxtField>();
  for (const field of fields) {
    checkValueField(kind, field, refuse);
    single.set(field.name, field);
  }
  const name = textOf(single.get('name'), refuse);
  if (name === undefined) throw refuse(line, `${kind} has no name`);
  const type = single.get('data_type');
  const dtype = type?.value.kind === 'word' ? DTYPES[type.value.text] : undefined;
  if (dtype === undefined) throw refuse(type?.line ?? line, `${kind} ${name} has no data_type that is known`);
  const dims = fields.filter((field) => field.name === 'dims').map((field) => numberOf(field, refuse));
  return { name, dtype, dims, line };
}

function checkValueField(kind: string, { name, line, value }: PbtxtField, refuse: Refuse): void {
  if (REFUSED[name] !== undefined) throw refuse(line, `${name} ${REFUSED[name]}`);
  if (name === 'allow_ragged_batch') {
    if (value.kind !== 'word' || value.text !== 'false') throw refuse(line, `${name} is not served`);
  } else if (!['dims', 'name', 'data_type'].includes(name) && !SHAPE_HINTS.has(name))
    throw refuse(line, `${name} is not a known field of ${kind}`);
}

function textOf(field: PbtxtField | undefined, refuse: Refuse): string | undefined {
  if (field === undefined) return undefined;
  if (field.value.kind === 'text') return field.value.text;
  throw refuse(field.line, `${field.name} must be a text in quotes`);
}

function numberOf(field: PbtxtField | undefined, refuse: Refuse): number {
  if (field === undefined) return 0;
  const number = field.value.kind === 'word' ? Number(field.value.text) : NaN;
  if (Number.isSafeInteger(number) && number >= -1) return number;
  throw refuse(field.line, `${field.name} must be a whole number`);
}

/** A file name without a path, so that a graph stays in the folder of its version. */
function graphFileOf(field: PbtxtField | undefined, refuse: Refuse): string {
  const name = textOf(field, refuse);
  if (name === undefined || name === '') return 'model.onnx';
  if (/^[\w-][\w.-]*\.onnx$/.test(name)) return name;
  throw refuse(field?.line ?? 1, `default_model_filename is "${name}", not the plain name of an .onnx file`);
}
