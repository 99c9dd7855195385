import { ThalamusError } from '@thalamus/errors';
import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sampleManifest } from '../test/sample-bundle.js';
import { readDeltaHead } from './delta-head.js';
import { checkLowRankFits, lowRankFiles, readLowRankAdapter, type LowRankParts } from './low-rank-bundle.js';
import { LOW_RANK_FILES, type DeltaHead } from './low-rank-format.js';
import { float16Tensor, float32Tensor, readSafetensors, writeSafetensors } from './safetensors.js';
import type { BundleFiles } from './write-bundle.js';

const RANK = 2;
const SIZES = { hidden: 4, vocabulary: 6 };
const QUERY = 'encoder.layer.0.attention.self.query';
const DENSE = 'encoder.layer.0.intermediate.dense';
const BASE = new Map([
  [`${QUERY}.weight`, { shape: [4, 4] }],
  [`${DENSE}.weight`, { shape: [8, 4] }],
  ['encoder.layer.0.output.LayerNorm.weight', { shape: [4] }],
  ['embeddings.word_embeddings.weight', { shape: [6, 4] }],
]);

/** Numbers that float16 holds to the bit. */
const numbers = (length: number, seed = 1) => {
  const random = createRandom(seed);
  return Float32Array.from({ length }, () => random.below(64) / 16 - 2);
};
const classifier: DeltaHead = { task: 'text-classification', weights: numbers(8), bias: numbers(2) };
const maskedLm: DeltaHead = {
  task: 'fill-mask',
  dense: numbers(16),
  denseBias: numbers(4),
  gain: numbers(4),
  shift: numbers(4),
  bias: numbers(6),
};
const parts: LowRankParts = {
  baseName: 'pico',
  rank: RANK,
  alpha: 3,
  factors: [
    { layer: QUERY, rank: RANK, inputs: 4, outputs: 4, a: numbers(8, 2), b: numbers(8, 3) },
    { layer: DENSE, rank: RANK, inputs: 4, outputs: 8, a: numbers(8, 4), b: numbers(16, 5) },
  ],
  head: classifier,
};

/** An opened bundle of these files. */
const opened = (files: BundleFiles, task: DeltaHead['task'] = 'text-classification') => ({
  manifest: { ...sampleManifest({ kind: 'lowrank', task }), files: [] },
  readFile: (path: string) => Promise.resolve(files[path]!),
});

/** Field and message of the refusal of a bundle in which one file is replaced. */
async function refusal(file: string, bytes: Uint8Array, task?: DeltaHead['task']) {
  const files = lowRankFiles({ ...parts, head: task === 'fill-mask' ? maskedLm : classifier });
  const expert = opened({ ...files, [file]: bytes }, task);
  try {
    checkLowRankFits('sample', await readLowRankAdapter(expert), BASE);
    await readDeltaHead(expert, SIZES);
  } catch (fault) {
    if (ThalamusError.is(fault) && fault.code === 'BUNDLE_INVALID')
      return `${fault.violations[0]?.field} ${fault.violations[0]?.description}`;
    throw fault;
  }
  throw new Error('the bundle was accepted');
}

const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const configWith = (change: Record<string, unknown>) => {
  const written = lowRankFiles(parts)[LOW_RANK_FILES.config];
  return json({ ...(JSON.parse(new TextDecoder().decode(written)) as object), ...change });
};
const tensorsWith = (file: string, change: Parameters<typeof writeSafetensors>[0], without = '') => {
  const { tensors } = readSafetensors(lowRankFiles(parts)[file]!);
  const kept = [...tensors].filter(([name]) => name !== without);
  return writeSafetensors({ ...Object.fromEntries(kept), ...change });
};
const a = (layer: string) => `base_model.model.${layer}.lora_A.weight`;
const b = (layer: string) => `base_model.model.${layer}.lora_B.weight`;

describe('a low-rank bundle', () => {
  it('keeps factors, scale and the head of a classifier', async () => {
    const expert = opened(lowRankFiles(parts));
    const adapter = await readLowRankAdapter(expert);
    const byLayer = (factors: typeof parts.factors) => new Map(factors.map((it) => [it.layer, it]));
    expect(byLayer(adapter.factors)).toEqual(byLayer(parts.factors));
    expect(adapter).toMatchObject({ rank: 2, alpha: 3, scale: 1.5 });
    expect(() => {
      checkLowRankFits('sample', adapter, BASE);
    }).not.toThrow();
    expect(await readDeltaHead(expert, SIZES)).toEqual(classifier);
  });

  it('keeps the head of a masked language model under its Hugging Face names', async () => {
    const files = lowRankFiles({ ...parts, head: maskedLm });
    expect(await readDeltaHead(opened(files, 'fill-mask'), SIZES)).toEqual(maskedLm);
    const { tensors } = readSafetensors(files[LOW_RANK_FILES.head]!);
    expect(tensors.get('cls.predictions.transform.dense.weight')?.shape).toEqual([4, 4]);
    expect(tensors.get('cls.predictions.bias')?.shape).toEqual([6]);
    await expect(readDeltaHead(opened(files), SIZES)).rejects.toThrow(
      /head\.safetensors: cls\.predictions\.\S+ is no tensor of a head for text-classification/,
    );
  });

  it('is written the same for the same parts, in the order of PEFT', () => {
    expect(lowRankFiles(parts)).toEqual(lowRankFiles(parts));
    const config = JSON.parse(new TextDecoder().decode(lowRankFiles(parts)[LOW_RANK_FILES.config])) as object;
    expect(config).toMatchObject({ r: 2, lora_alpha: 3, target_modules: ['query', 'dense'], bias: 'none' });
  });

  it('is not written with numbers that float16 cannot hold', () => {
    const large = { ...parts.factors[0]!, a: new Float32Array(8).fill(1e6) };
    expect(() => lowRankFiles({ ...parts, factors: [large] })).toThrow(
      /query\.lora_A\.weight holds numbers that are not finite/,
    );
    expect(() => lowRankFiles({ ...parts, head: { ...classifier, bias: numbers(2).fill(NaN) } })).toThrow(
      /head\.bias holds numbers that are not finite/,
    );
  });

  it('takes float32 factors and what PEFT writes beside those that count', async () => {
    const wide = float32Tensor([RANK, 4], new Float32Array(8).fill(1e6));
    const expert = opened({
      ...lowRankFiles(parts),
      [LOW_RANK_FILES.adapter]: tensorsWith(LOW_RANK_FILES.adapter, { [a(QUERY)]: wide }),
      [LOW_RANK_FILES.config]: configWith({
        alpha_pattern: {},
        rank_pattern: {},
        use_dora: false,
        use_rslora: false,
        modules_to_save: null,
        init_lora_weights: true,
        megatron_core: 'megatron.core',
        loftq_config: {},
        a_field_of_next_year: null,
        another: [],
      }),
    });
    const { factors } = await readLowRankAdapter(expert);
    expect(factors.find(({ layer }) => layer === QUERY)?.a[0]).toBe(1e6);
  });
});

describe('readLowRankAdapter', () => {
  it.each([
    ['alpha_pattern', { query: 3 }, 'must be empty'],
    ['rank_pattern', { query: 3 }, 'must be empty'],
    ['use_rslora', true, 'must be false'],
    ['use_dora', true, 'must be false'],
    ['lora_bias', true, 'must be false'],
    ['bias', 'all', 'must be "none"'],
    ['modules_to_save', ['classifier'], 'must be empty'],
    ['fan_in_fan_out', true, 'must be false'],
    ['peft_type', 'IA3', 'must be "LORA"'],
    ['init_lora_weights', 'pissa', 'changes the weights of the base'],
    ['r', 0, 'must be a whole number from 1'],
    ['r', 1.5, 'must be a whole number from 1'],
    ['r', '2', 'must be a whole number from 1'],
    ['r', undefined, 'must be a whole number from 1'],
    ['lora_alpha', null, 'must be a number'],
    ['lora_alpha', 'x', 'must be a number'],
    ['use_magic', true, 'is not a known field'],
    ['toString', 1, 'is not a known field'],
  ])('refuses %s = %j', async (field, value, reason) => {
    const said = await refusal(LOW_RANK_FILES.config, configWith({ [field]: value }));
    expect(said).toContain(`adapter_config.json: ${field} `);
    expect(said).toContain(reason);
  });

  it.each([
    ['no JSON', new TextEncoder().encode('{"r": 2'), 'adapter_config.json is not JSON'],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'adapter_config.json is not JSON in UTF-8'],
    ['nothing', new Uint8Array(0), 'adapter_config.json is not JSON'],
    ['a list', json([]), 'adapter_config.json is not a JSON object'],
    ['null', json(null), 'adapter_config.json is not a JSON object'],
  ])('refuses a configuration that is %s', async (_, bytes, said) => {
    expect(await refusal(LOW_RANK_FILES.config, bytes)).toContain(said);
  });

  const floats = (shape: number[]) =>
    float16Tensor(shape, new Float32Array(shape.reduce((x, y) => x * y, 1)));
  it.each([
    [
      'an unknown name',
      { 'base_model.model.x.lora_embedding_A': floats([2, 4]) },
      '',
      'is no factor of LoRA',
    ],
    ['a name without its prefix', { 'encoder.lora_A.weight': floats([2, 4]) }, '', 'is no factor of LoRA'],
    ['A without B', {}, b(QUERY), 'query.lora_B.weight is missing'],
    ['B without A', {}, a(QUERY), 'query.lora_A.weight is missing'],
    ['A of another rank', { [a(QUERY)]: floats([3, 4]) }, '', 'has the shape [3,4] where [2, in] is needed'],
    ['B of another rank', { [b(QUERY)]: floats([4, 3]) }, '', 'has the shape [4,3] where [out, 2] is needed'],
    ['a vector', { [a(QUERY)]: floats([8]) }, '', 'has the shape [8] where [2, in] is needed'],
    ['no inputs', { [a(QUERY)]: floats([2, 0]) }, '', 'has the shape [2,0]'],
    [
      'integers',
      { [a(QUERY)]: { type: 'I32', shape: [2, 4], bytes: new Uint8Array(32) } as const },
      '',
      'I32',
    ],
    ['NaN', { [a(QUERY)]: float32Tensor([2, 4], new Float32Array(8).fill(NaN)) }, '', 'are not finite'],
    [
      'infinity',
      { [b(QUERY)]: float32Tensor([4, 2], new Float32Array(8).fill(-Infinity)) },
      '',
      'not finite',
    ],
    [
      'a width that the base has not',
      { [a(QUERY)]: floats([2, 5]) },
      '',
      'takes 5 values where the layer of its base has 4',
    ],
    [
      'a height that the base has not',
      { [b(DENSE)]: floats([4, 2]) },
      '',
      'gives 4 values where the layer of its base has 8',
    ],
    [
      'a layer that the base has not',
      { [a('pooler.dense')]: floats([2, 4]), [b('pooler.dense')]: floats([4, 2]) },
      '',
      'no linear layer of its base',
    ],
    [
      'a vector of the base',
      {
        [a('encoder.layer.0.output.LayerNorm')]: floats([2, 4]),
        [b('encoder.layer.0.output.LayerNorm')]: floats([4, 2]),
      },
      '',
      'no linear layer of its base',
    ],
    [
      'word embeddings',
      {
        [a('embeddings.word_embeddings')]: floats([2, 4]),
        [b('embeddings.word_embeddings')]: floats([6, 2]),
      },
      '',
      'no linear layer of its base',
    ],
  ])('refuses factors with %s', async (_, change, without, reason) => {
    const said = await refusal(LOW_RANK_FILES.adapter, tensorsWith(LOW_RANK_FILES.adapter, change, without));
    expect(said).toMatch(/^adapter\.safetensors: /);
    expect(said).toContain(reason);
  });

  it('refuses a file without factors, and one that is cut short', async () => {
    const empty = writeSafetensors({});
    expect(await refusal(LOW_RANK_FILES.adapter, empty)).toBe('adapter.safetensors holds no factors');
    const whole = lowRankFiles(parts)[LOW_RANK_FILES.adapter]!;
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), async (length) => {
        expect(await refusal(LOW_RANK_FILES.adapter, whole.subarray(0, length))).toMatch(
          /^adapter\.safetensors/,
        );
      }),
      { seed: 7, numRuns: 100 },
    );
  });
});

describe('readDeltaHead', () => {
  const head = LOW_RANK_FILES.head;
  it.each([
    [
      'another number of labels',
      { 'head.bias': float32Tensor([3], numbers(3)) },
      '',
      'head.bias has the shape [3] where [2] is needed',
    ],
    [
      'another width',
      { 'head.weight': float32Tensor([2, 3], numbers(6)) },
      '',
      '[2,3] where [2,4] is needed',
    ],
    ['no bias', {}, 'head.bias', 'head.bias is missing'],
    [
      'one tensor more',
      { 'pooler.weight': float32Tensor([1], numbers(1)) },
      '',
      'pooler.weight is no tensor',
    ],
    ['NaN', { 'head.bias': float32Tensor([2], new Float32Array([0, NaN])) }, '', 'head.bias holds numbers'],
  ])('refuses %s', async (_, change, without, reason) => {
    const said = await refusal(head, tensorsWith(head, change, without));
    expect(said).toMatch(/^head\.safetensors/);
    expect(said).toContain(reason);
  });

  it('refuses the head of a masked language model over another vocabulary', async () => {
    const other = lowRankFiles({ ...parts, head: { ...maskedLm, bias: numbers(7) } })[head]!;
    expect(await refusal(head, other, 'fill-mask')).toContain(
      'cls.predictions.bias has the shape [7] where [6]',
    );
  });

  it('refuses tasks that have no head', async () => {
    const expert = opened(lowRankFiles(parts));
    const manifest = { ...expert.manifest, task: 'feature-extraction' as const };
    await expect(readDeltaHead({ ...expert, manifest }, SIZES)).rejects.toThrow(/sample is for feature-extr/);
  });
});
