import { LOW_RANK_FILES, refusedFile } from './low-rank-format.js';

/** Layers whose weights PEFT may keep whole beside the factors: heads of classifiers, by their Hugging Face names. */
export const SAVED_HEADS = ['classifier', 'score'] as const;

/** What of PEFT's configuration changes the arithmetic and is taken. */
export interface AdapterConfig {
  readonly rank: number;
  readonly alpha: number;
}

/** Largest rank that is read. */
export const MAX_RANK = 1_024;

/** Fields that say where an adapter came from, or which layers it has, which its tensors say as well. */
const INFORMATIVE = new Set([
  'alora_invocation_tokens',
  'auto_mapping',
  'base_model_name_or_path',
  'exclude_modules',
  'inference_mode',
  'layers_pattern',
  'layers_to_transform',
  'lora_dropout',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'target_modules',
  'task_type',
]);

type Rule = readonly [isTaken: (value: unknown) => boolean, description: string];

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (typeof value === 'object' && Object.keys(value).length === 0);
const off = (what: string): Rule => [isEmpty, what];

type Rules = Readonly<Record<string, Rule>>;

/** Fields that would change the arithmetic, and the values that do not. */
const RULES: Rules = {
  peft_type: [(value) => value === 'LORA', 'must be "LORA"; other kinds of adapters are not served'],
  r: [
    (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_RANK,
    `must be a whole number from 1 to ${MAX_RANK}`,
  ],
  lora_alpha: [(value) => Number.isFinite(value), 'must be a number'],
  bias: [
    (value) => value === undefined || value === 'none',
    'must be "none"; trained biases are not supported',
  ],
  init_lora_weights: [
    (value) => value === undefined || typeof value === 'boolean' || value === 'gaussian',
    'is a start that changes the weights of the base as well, which is not supported',
  ],
  alpha_pattern: off('must be empty; one alpha holds for all layers'),
  rank_pattern: off('must be empty; one rank holds for all layers'),
  use_rslora: off('must be false; the scale is alpha / r'),
  use_dora: off('must be false; magnitudes of DoRA are not supported'),
  lora_bias: off('must be false; biases of factors are not supported'),
  fan_in_fan_out: off('must be false; weights are [out, in]'),
  modules_to_save: off('must be empty; the head of an expert is in head.safetensors'),
};

/** What PEFT itself writes may hold more, because it can be turned into the above. */
const PEFT_RULES: Rules = {
  ...RULES,
  use_rslora: [
    (value) => isEmpty(value) || value === true,
    'must be true or false; it says whether the scale is alpha / sqrt(r)',
  ],
  modules_to_save: [
    (value) =>
      isEmpty(value) ||
      (Array.isArray(value) && value.every((name) => SAVED_HEADS.some((known) => known === name))),
    `may list ${SAVED_HEADS.join(' and ')} only; other layers of the base must stay as they are`,
  ],
};

/**
 * Reads `adapter_config.json` of a bundle. A field that is unknown may only be null, false or empty: newer versions of PEFT write what
 * they do not use so.
 * @throws BUNDLE_INVALID naming file and field
 */
export function readAdapterConfig(bundle: string, bytes: Uint8Array): AdapterConfig {
  const config = readConfig(bundle, bytes, RULES);
  return { rank: config['r'] as number, alpha: config['lora_alpha'] as number };
}

/**
 * Reads `adapter_config.json` as PEFT writes it. Rank-stabilised LoRA (Kalajdzievski 2023) scales by alpha / sqrt(r), which is
 * alpha' / r for alpha' = alpha sqrt(r): that alpha' is given.
 * @throws BUNDLE_INVALID naming file and field
 */
export function readPeftConfig(bundle: string, bytes: Uint8Array): AdapterConfig {
  const config = readConfig(bundle, bytes, PEFT_RULES);
  const [rank, alpha] = [config['r'] as number, config['lora_alpha'] as number];
  return { rank, alpha: config['use_rslora'] === true ? alpha * Math.sqrt(rank) : alpha };
}

/** The fields of the file once every rule holds. @throws BUNDLE_INVALID */
function readConfig(bundle: string, bytes: Uint8Array, rules: Rules): Readonly<Record<string, unknown>> {
  const refused = (field: string, description: string, cause?: unknown) =>
    refusedFile(bundle, LOW_RANK_FILES.config, field, description, cause);
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw refused('', 'is not JSON in UTF-8', cause);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw refused('', 'is not a JSON object');
  const config = parsed as Readonly<Record<string, unknown>>;
  for (const [field, [isTaken, description]] of Object.entries(rules))
    if (!isTaken(config[field])) throw refused(field, description);
  for (const [field, value] of Object.entries(config))
    if (!Object.hasOwn(rules, field) && !INFORMATIVE.has(field) && !isEmpty(value))
      throw refused(field, 'is not a known field, and it is neither null nor false nor empty');
  return config;
}

/** Bytes of an `adapter_config.json` as PEFT writes one for LoRA over a feature extractor. */
export function writeAdapterConfig(
  { rank, alpha }: AdapterConfig,
  baseName: string,
  layers: readonly string[],
): Uint8Array {
  const config = {
    base_model_name_or_path: baseName,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    lora_alpha: alpha,
    lora_dropout: 0,
    peft_type: 'LORA',
    r: rank,
    target_modules: [...new Set(layers.map((layer) => layer.slice(layer.lastIndexOf('.') + 1)))],
    task_type: 'FEATURE_EXTRACTION',
  };
  return new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
}
