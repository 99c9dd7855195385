import { ThalamusError } from '@thalamus/errors';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { readFileSync } from 'node:fs';
import { parsePeftAdapter, readPeftFolder, type PeftBase, type PeftFiles } from './peft-adapter.js';
import { float32Tensor, readSafetensors, writeSafetensors, type StoredTensor } from './safetensors.js';

/** Folders that PEFT wrote; `make_peft_folders.py` beside them says how. */
const folderOf = (name: string) => fileURLToPath(new URL(`../test/peft/${name}`, import.meta.url));
const HEAD = 'base_model.model.classifier.weight';
const QUERY = 'base_model.model.bert.encoder.layer.0.attention.self.query';

const base: PeftBase = {
  hidden: 16,
  shapes: new Map<string, { shape: number[] }>(
    [0, 1].flatMap((layer): [string, { shape: number[] }][] => [
      [`encoder.layer.${layer}.attention.self.query.weight`, { shape: [16, 16] }],
      [`encoder.layer.${layer}.attention.self.value.weight`, { shape: [16, 16] }],
      [`encoder.layer.${layer}.intermediate.dense.weight`, { shape: [32, 16] }],
    ]),
  ),
};
const headFile = (tensors: Readonly<Record<string, StoredTensor>>) => ({
  file: 'h.safetensors',
  bytes: writeSafetensors(tensors),
});
const values = (shape: readonly number[], value = 0.5) =>
  float32Tensor(shape, new Float32Array(shape.reduce((all, size) => all * size, 1)).fill(value));

describe('an adapter that PEFT wrote', () => {
  let classifier: PeftFiles;
  let stabilised: PeftFiles;
  beforeAll(async () => {
    classifier = await readPeftFolder(folderOf('classifier'));
    stabilised = await readPeftFolder(folderOf('rank-stabilised'));
  });
  const withHead = (): PeftFiles => ({
    ...stabilised,
    head: headFile({ 'head.weight': values([2, 16]), 'head.bias': values([2]) }),
  });

  it.each(['classifier', 'rank-stabilised'])('%s changes the weights as PEFT does', (name) => {
    const { adapter } = parsePeftAdapter(name === 'classifier' ? classifier : withHead(), base);
    const wanted = JSON.parse(readFileSync(`${folderOf(name)}/delta.json`, 'utf8')) as {
      layer: string;
      row: number[];
    };
    expect(adapter.factors.map(({ layer }) => `${layer}.weight`).sort()).toEqual(
      [...base.shapes.keys()].sort(),
    );
    const { a, b, rank, inputs } = adapter.factors.find(({ layer }) => layer === wanted.layer)!;
    for (const [column, value] of wanted.row.entries()) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += b[r]! * a[r * inputs + column]!;
      expect(adapter.scale * sum).toBeCloseTo(value, 5);
    }
  });

  it('brings the head that it saved', () => {
    const { head, headFrom } = parsePeftAdapter(classifier, base);
    expect(headFrom).toBe(`adapter_model.safetensors: ${HEAD}`);
    const { tensors } = readSafetensors(classifier.adapter);
    expect(Buffer.from(head.weights.buffer)).toEqual(Buffer.from(tensors.get(HEAD)!.bytes));
    expect(head.bias).toHaveLength(3);
  });

  it('takes another head in its place, and no bias as zeros', () => {
    const head = headFile({ 'head.weight': values([2, 16]) });
    const parsed = parsePeftAdapter({ ...classifier, head }, base);
    expect(parsed.headFrom).toBe('h.safetensors: head.weight');
    expect(parsed.head.bias).toEqual(new Float32Array(2));
  });

  it('takes a head named score, with the name of its wrapper', () => {
    const name = 'base_model.model.score.modules_to_save.default.weight';
    const adapter = changed({ [name]: values([2, 16]) }, [HEAD, HEAD.replace('weight', 'bias')]);
    expect(parsePeftAdapter({ ...classifier, adapter }, base).head.weights).toHaveLength(32);
  });

  function changed(more: Readonly<Record<string, StoredTensor>>, without: readonly string[] = []) {
    const { tensors } = readSafetensors(classifier.adapter);
    const kept = [...tensors].filter(([name]) => !without.includes(name));
    return writeSafetensors({ ...Object.fromEntries(kept), ...more });
  }
  const configWith = (change: object) => {
    const config = JSON.parse(new TextDecoder().decode(classifier.config)) as object;
    return new TextEncoder().encode(JSON.stringify({ ...config, ...change }));
  };
  const refusal = (files: Partial<PeftFiles>) => {
    try {
      parsePeftAdapter({ ...classifier, ...files }, base);
    } catch (fault) {
      if (ThalamusError.is(fault) && fault.code === 'BUNDLE_INVALID')
        return `${fault.violations[0]?.field} ${fault.violations[0]?.description}`;
      throw fault;
    }
    return 'accepted';
  };

  it.each([
    [{ use_dora: true }, /^adapter_config\.json: use_dora /],
    [{ bias: 'lora_only' }, /^adapter_config\.json: bias /],
    [{ fan_in_fan_out: true }, /^adapter_config\.json: fan_in_fan_out /],
    [{ rank_pattern: { query: 8 } }, /^adapter_config\.json: rank_pattern /],
    [{ alpha_pattern: { query: 8 } }, /^adapter_config\.json: alpha_pattern /],
    [{ modules_to_save: ['classifier', 'pooler'] }, /^adapter_config\.json: modules_to_save /],
    [{ use_rslora: 'yes' }, /^adapter_config\.json: use_rslora /],
    [{ peft_type: 'IA3' }, /^adapter_config\.json: peft_type /],
    [{ r: 8 }, /lora_A\.weight has the shape \[4,16\] where \[8, in\] is needed/],
    [{ target_parameters: ['x'] }, /^adapter_config\.json: target_parameters is not a known field/],
  ])('refuses the configuration %j', (change, pattern) => {
    expect(refusal({ config: configWith(change) })).toMatch(pattern);
  });

  it.each([
    [
      'a layer that the base has not',
      { [`${QUERY}2.lora_A.weight`]: values([4, 16]), [`${QUERY}2.lora_B.weight`]: values([16, 4]) },
      /query2\.lora_A\.weight is for a layer that is no linear layer/,
    ],
    [
      'inputs of another width',
      { [`${QUERY}.lora_A.weight`]: values([4, 8]) },
      /query\.lora_A\.weight takes 8 values/,
    ],
    [
      'outputs of another width',
      { [`${QUERY}.lora_B.weight`]: values([8, 4]) },
      /query\.lora_B\.weight gives 8 values/,
    ],
    [
      'numbers that are not finite',
      { [`${QUERY}.lora_B.weight`]: values([16, 4], NaN) },
      /query\.lora_B\.weight holds numbers that are not finite/,
    ],
    [
      'another kind of tensor',
      { [`${QUERY}.lora_magnitude_vector`]: values([16]) },
      /lora_magnitude_vector is neither a factor/,
    ],
    [
      'a layer under both names',
      { [`${QUERY.replace('bert.', '')}.lora_A.weight`]: values([4, 16]) },
      /with and without "bert\."/,
    ],
    ['a second head', { 'base_model.model.score.weight': values([3, 16]) }, /is a second head/],
    [
      'a head of another width',
      { [HEAD]: values([3, 8]) },
      /classifier\.weight has the shape \[3,8\] where \[labels, 16\]/,
    ],
    ['a head of one label', { [HEAD]: values([1, 16]) }, /classifier\.weight is for one label/],
    [
      'a bias of another length',
      { [HEAD]: values([2, 16]) },
      /classifier\.bias has the shape \[3\] where \[2\]/,
    ],
  ])('refuses %s', (_, more, pattern) => {
    expect(refusal({ adapter: changed(more) })).toMatch(pattern);
  });

  it('refuses a factor without its partner, no factors, no head, and what is no safetensors file', () => {
    expect(refusal({ adapter: changed({}, [`${QUERY}.lora_B.weight`]) })).toMatch(
      /lora_B\.weight is missing/,
    );
    const heads = { [HEAD]: values([2, 16]) };
    expect(refusal({ adapter: writeSafetensors(heads) })).toMatch(/holds no factors/);
    expect(refusal(stabilised)).toMatch(/classifier\.weight is missing: the adapter has no head/);
    expect(refusal({ adapter: new Uint8Array(4) })).toMatch(/is no usable safetensors file/);
    expect(refusal({ head: headFile({ 'head.weight': values([2, 16]), more: values([1]) }) })).toMatch(
      /^h\.safetensors: more is neither/,
    );
  });

  it('names the file that is missing', async () => {
    await expect(readPeftFolder(folderOf('nowhere'))).rejects.toThrow(
      /nowhere: adapter_config\.json cannot be read \(ENOENT\)/,
    );
    await expect(readPeftFolder(folderOf('classifier'), 'no-head.safetensors')).rejects.toThrow(
      /no-head\.safetensors cannot be read \(ENOENT\)/,
    );
  });
});
