import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readPeftConfig, SAVED_HEADS } from './adapter-config.js';
import { BundleTensors } from './bundle-tensors.js';
import { misfitOf, type WeightShapes } from './low-rank-bundle.js';
import {
  HEAD_TENSORS,
  LOW_RANK_FILES,
  parseFactorName,
  refusedFile,
  type ClassifierHead,
  type LowRankAdapter,
  type LowRankFactors,
} from './low-rank-format.js';

/** Files of a LoRA adapter as PEFT's `save_pretrained` writes them. */
export const PEFT_FILES = {
  adapter: 'adapter_model.safetensors',
  config: LOW_RANK_FILES.config,
} as const;

/** Contents of a PEFT folder. */
export interface PeftFiles {
  /** Name of the folder: refusals begin with it. */
  readonly folder: string;
  readonly config: Uint8Array;
  readonly adapter: Uint8Array;
  /** A head with the tensors head.weight and perhaps head.bias; it takes the place of one inside the adapter. */
  readonly head?: { readonly file: string; readonly bytes: Uint8Array } | undefined;
}

/** What a classifier over a base is imported from. */
export interface PeftClassifier {
  readonly adapter: LowRankAdapter;
  readonly head: ClassifierHead;
  /** Where the head was found: file and tensor. */
  readonly headFrom: string;
}

/** Sizes of the base that an adapter must fit. */
export interface PeftBase {
  readonly shapes: WeightShapes;
  /** Width of the vectors that the head reads. */
  readonly hidden: number;
}

const LAYER_PREFIX = 'bert.';
const SAVED_HEAD = new RegExp(
  `^base_model\\.model\\.(?:${SAVED_HEADS.join('|')})\\.(?:modules_to_save\\.(?:default\\.)?)?(weight|bias)$`,
);

/** Reads the files of a PEFT folder, and a head beside it. @throws BUNDLE_INVALID naming the file that cannot be read */
export async function readPeftFolder(folder: string, headFile?: string): Promise<PeftFiles> {
  const config = await readPart(folder, PEFT_FILES.config, join(folder, PEFT_FILES.config));
  const adapter = await readPart(folder, PEFT_FILES.adapter, join(folder, PEFT_FILES.adapter));
  if (headFile === undefined) return { folder, config, adapter };
  return {
    folder,
    config,
    adapter,
    head: { file: headFile, bytes: await readPart(folder, headFile, headFile) },
  };
}

/**
 * Factors and head of a LoRA adapter of PEFT over a BERT encoder, every layer held against the base. Layers may be named as
 * those of `BertModel` or of `BertForSequenceClassification`.
 * @throws BUNDLE_INVALID naming file and field for all that the `lowrank` format cannot hold
 */
export function parsePeftAdapter(files: PeftFiles, base: PeftBase): PeftClassifier {
  const { folder } = files;
  const { rank, alpha } = readPeftConfig(folder, files.config);
  const stored = BundleTensors.read(folder, PEFT_FILES.adapter, files.adapter);
  const { layers, saved } = sortTensors(stored);
  const factors = [...layers].map(([layer, prefix]) =>
    readFactors(stored, { layer, prefix, rank }, base.shapes),
  );
  if (factors.length === 0) throw refusedFile(folder, PEFT_FILES.adapter, '', 'holds no factors of LoRA');
  const adapter = { factors, rank, alpha, scale: alpha / rank };
  return { adapter, ...headOf(files, stored, saved, base.hidden) };
}

interface SortedTensors {
  /** Name of each layer in the base, and how the file's names of it begin. */
  readonly layers: ReadonlyMap<string, string>;
  /** Names of the head's tensors by part. */
  readonly saved: ReadonlyMap<string, string>;
}

function sortTensors(stored: BundleTensors): SortedTensors {
  const layers = new Map<string, string>();
  const saved = new Map<string, string>();
  for (const name of stored.names) {
    const part = SAVED_HEAD.exec(name)?.[1];
    if (part !== undefined) {
      if (saved.has(part)) stored.refuse(name, `is a second head beside ${saved.get(part)}`);
      saved.set(part, name);
      continue;
    }
    const named = parseFactorName(name)?.layer;
    if (named === undefined)
      stored.refuse(
        name,
        `is neither a factor of LoRA over a linear layer nor a head (${SAVED_HEADS.join(', ')})`,
      );
    const prefix = named.startsWith(LAYER_PREFIX) ? LAYER_PREFIX : '';
    const layer = named.slice(prefix.length);
    if ((layers.get(layer) ?? prefix) !== prefix)
      stored.refuse(name, `is for a layer that is there with and without "${LAYER_PREFIX}"`);
    layers.set(layer, prefix);
  }
  return { layers, saved };
}

function readFactors(
  stored: BundleTensors,
  { layer, prefix, rank }: { readonly layer: string; readonly prefix: string; readonly rank: number },
  base: WeightShapes,
): LowRankFactors {
  const nameOf = (part: 'A' | 'B') => `base_model.model.${prefix}${layer}.lora_${part}.weight`;
  const a = stored.floats(nameOf('A'), [rank, -1], `[${rank}, in]`);
  const b = stored.floats(nameOf('B'), [-1, rank], `[out, ${rank}]`);
  const factors = { layer, a, b, rank, inputs: a.length / rank, outputs: b.length / rank };
  const misfit = misfitOf(factors, base);
  if (misfit) stored.refuse(nameOf(misfit.part), misfit.description);
  return factors;
}

function headOf(
  files: PeftFiles,
  stored: BundleTensors,
  saved: ReadonlyMap<string, string>,
  hidden: number,
): Pick<PeftClassifier, 'head' | 'headFrom'> {
  if (files.head === undefined) {
    const weight = saved.get('weight');
    if (weight === undefined)
      throw refusedFile(
        files.folder,
        PEFT_FILES.adapter,
        `base_model.model.${SAVED_HEADS[0]}.weight`,
        'is missing: the adapter has no head; give one as a file with head.weight and head.bias',
      );
    const head = readHead(stored, weight, saved.get('bias'), hidden);
    return { head, headFrom: `${PEFT_FILES.adapter}: ${weight}` };
  }
  const { file, bytes } = files.head;
  const own = BundleTensors.read(files.folder, file, bytes);
  const { weights, bias } = HEAD_TENSORS['text-classification'];
  for (const name of own.names)
    if (name !== weights && name !== bias) own.refuse(name, `is neither ${weights} nor ${bias}`);
  const head = readHead(own, weights, own.names.includes(bias) ? bias : undefined, hidden);
  return { head, headFrom: `${file}: ${weights}` };
}

function readHead(
  stored: BundleTensors,
  weight: string,
  bias: string | undefined,
  hidden: number,
): ClassifierHead {
  const weights = stored.floats(weight, [-1, hidden], `[labels, ${hidden}]`);
  const labels = weights.length / hidden;
  if (labels < 2) stored.refuse(weight, 'is for one label; a classifier needs two or more');
  return {
    task: 'text-classification',
    weights,
    bias: bias === undefined ? new Float32Array(labels) : stored.floats(bias, [labels]),
  };
}

async function readPart(folder: string, file: string, path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw refusedFile(folder, file, '', `cannot be read (${code})`, cause);
  }
}
