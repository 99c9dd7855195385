import { openBundle } from '@thalamus/bundle';
import { OrtRuntime, padTokens, Tokenizer } from '@thalamus/inference';
import { tensor } from '@thalamus/tensor';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { at, wishes } from '../../test/support/import-harness.js';
import { importLocal } from './import-local.js';

const EXPORTS = fileURLToPath(new URL('../../test/hugging-face/', import.meta.url));
/** ONNX Runtime against PyTorch, both in float32. */
const TOLERANCE_DIGITS = 4;
const LABELS = ['lost_card', 'law', 'greeting'];

interface Expected {
  readonly text: string;
  readonly inputIds: readonly number[];
  readonly logits: readonly (number | readonly number[])[];
}

/** Written by Optimum; expected.json says what transformers answers in PyTorch (make_exports.py). */
describe('an export that Optimum wrote', () => {
  it.each([
    ['bert-classifier', { task: 'text-classification', labels: LABELS, maxTokens: 24 }],
    ['bert-masked', { task: 'fill-mask', maxTokens: 32 }],
    [
      'roberta-multi-label',
      {
        task: 'text-classification',
        labels: LABELS,
        problemType: 'multi_label_classification',
        maxTokens: 32,
      },
    ],
  ])('%s is imported and answers as transformers does', async (name, manifest) => {
    await importLocal(`${EXPORTS}${name}`, wishes());
    const bundle = await openBundle(at('out'));
    expect(bundle.manifest).toMatchObject({ name, kind: 'full', ...manifest });

    const expected = JSON.parse(await readFile(`${EXPORTS}${name}/expected.json`, 'utf8')) as Expected;
    const rows = await Tokenizer.parse(await bundle.readFile('tokenizer.json')).encode([expected.text], 24);
    expect(rows[0]?.ids).toEqual(expected.inputIds);
    const { inputIds, attentionMask } = padTokens(rows);
    const runtime = new OrtRuntime();
    try {
      const session = await runtime.load({ path: bundle.filePath('model.onnx') });
      const types = tensor('int64', inputIds.shape, new BigInt64Array(inputIds.data.length));
      const feeds = { input_ids: inputIds, attention_mask: attentionMask, token_type_ids: types };
      const known = session.inputs.map((input) => [input.name, feeds[input.name as keyof typeof feeds]]);
      const { logits } = await session.run(Object.fromEntries(known) as Record<string, typeof inputIds>);
      const wanted = expected.logits.flat();
      expect(logits?.data).toHaveLength(wanted.length);
      wanted.forEach((value, at) => expect(Number(logits?.data[at])).toBeCloseTo(value, TOLERANCE_DIGITS));
    } finally {
      await runtime.close();
    }
  });
});
