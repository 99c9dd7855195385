import { encodeModel } from '@thalamus/onnx-graph';
import { PICO_VOCABULARY } from '@thalamus/testing';
import { symlink, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { answer, at, imported, refusal, refusalOf, without } from '../../test/support/import-harness.js';
import {
  classifierGraph,
  encoderGraph,
  exportFiles,
  maskedGraph,
  movedOut,
  writeFiles,
  type Files,
} from '../../test/support/model-folders.js';
import type { ImportOptions } from './import-options.js';

describe('an ONNX export of Hugging Face', () => {
  it('becomes a classifier, named by its folder, with labels, longest text, licence and the graph as it was', async () => {
    const files = exportFiles();
    const card = '---\nlicense: apache-2.0\ntags: [test]\n---\n# A model\n';
    const { manifest, readFile } = await imported({ ...files, 'README.md': card, NOTICE: 'By us.\n' });
    expect(manifest).toMatchObject({
      name: 'my-model-v2',
      kind: 'full',
      task: 'text-classification',
      labels: ['no', 'maybe', 'yes'],
      maxTokens: 24,
      precision: 'float32',
      licence: 'Apache-2.0',
      evaluation: [],
    });
    expect(manifest.problemType).toBeUndefined();
    for (const file of ['model.onnx', 'tokenizer.json'])
      expect(await readFile(file)).toEqual(Buffer.from(files[file] as Uint8Array));
    expect(Buffer.from(await readFile('NOTICE')).toString()).toBe('By us.\n');
    expect(answer()).toMatchObject({ expert: 'my-model-v2', form: 'onnx-export', takes: 'texts' });
  });

  it('takes several labels for a text, labels from the command line, and the graph in onnx/', async () => {
    const { 'model.onnx': graph, ...rest } = exportFiles(classifierGraph(3, { declared: 'labels' }), {
      problem_type: 'multi_label_classification',
      id2label: { 0: 'LABEL_0' },
    });
    const { manifest } = await imported(
      { ...rest, 'onnx/model.onnx': graph as Uint8Array },
      { labels: 'a,b,c', name: 'given', licence: 'MIT' },
    );
    expect(manifest).toMatchObject({
      name: 'given',
      labels: ['a', 'b', 'c'],
      problemType: 'multi_label_classification',
      licence: 'MIT',
    });
  });

  it('fills masks by *ForMaskedLM', async () => {
    const files = exportFiles(maskedGraph(PICO_VOCABULARY.length), { architectures: ['BertForMaskedLM'] });
    expect((await imported(files)).manifest).toMatchObject({ task: 'fill-mask', maxTokens: 24 });
  });

  it.each([
    ['mean, by a flag', { pooling_mode_mean_tokens: true, pooling_mode_cls_token: false }, 'mean'],
    ['the first token, by a flag', { pooling_mode_cls_token: true }, 'cls'],
    ['the first token, by name', { pooling_mode: 'cls', word_embedding_dimension: 16 }, 'cls'],
  ])('extracts features by *Model, pooled as sentence-transformers does: %s', async (_, pooling, wanted) => {
    const modules = ['Transformer', 'Pooling', 'Normalize'].map((name, idx) => ({
      idx,
      name: String(idx),
      path: idx === 0 ? '' : `${idx}_${name}`,
      type: `sentence_transformers.models.${name}`,
    }));
    const { manifest } = await imported({
      ...exportFiles(encoderGraph('token_embeddings'), { architectures: ['BertModel'] }),
      'modules.json': modules,
      '1_Pooling/config.json': pooling,
      'sentence_bert_config.json': { max_seq_length: 16, do_lower_case: false },
    });
    expect(manifest).toMatchObject({ task: 'feature-extraction', pooling: wanted, maxTokens: 16 });
    expect(answer()).toMatchObject({ notes: [] });
  });

  it('leaves two positions of RoBERTa unused, which begins to count at two', async () => {
    const files = {
      ...exportFiles(undefined, { model_type: 'roberta' }),
      'tokenizer_config.json': { model_max_length: 1e30 },
    };
    expect((await imported(files)).manifest.maxTokens).toBe(30);
  });

  it('takes external data that lie beside the graph', async () => {
    const model = classifierGraph(3);
    const data = movedOut(model, 'model.onnx_data');
    const { manifest, readFile } = await imported({ ...exportFiles(model), 'model.onnx_data': data });
    expect(manifest.files.map(({ path }) => path)).toEqual([
      'model.onnx',
      'model.onnx_data',
      'tokenizer.json',
    ]);
    expect(await readFile('model.onnx_data')).toEqual(Buffer.from(data));
  });

  it.each<[string, () => Files, RegExp]>([
    [
      'without a graph',
      () => without(exportFiles(), 'model.onnx'),
      /model\.onnx is missing, and so is onnx\/model\.onnx; .*optimum-cli/,
    ],
    [
      'without a tokenizer',
      () => without(exportFiles(), 'tokenizer.json'),
      /tokenizer\.json is missing; .*save_pretrained/,
    ],
    [
      'with two graphs',
      () => ({ ...exportFiles(), 'onnx/model_quantized.onnx': 'x' }),
      /2 graphs \(model\.onnx, onnx\/model_quantized\.onnx\); choose one with --graph model\.onnx/,
    ],
    [
      'with a config that is no JSON',
      () => ({ ...exportFiles(), 'config.json': '{' }),
      /config\.json is not JSON in UTF-8/,
    ],
    [
      'with a field of another type',
      () => exportFiles(undefined, { max_position_embeddings: '32' }),
      /config\.json: max_position_embeddings/,
    ],
    [
      'of another architecture',
      () => exportFiles(undefined, { architectures: ['BertForTokenClassification'] }),
      /architectures names BertForTokenClassification, which is not served/,
    ],
    [
      'of no architecture',
      () => exportFiles(undefined, { architectures: null }),
      /architectures names no architecture/,
    ],
    [
      'that predicts a number',
      () => exportFiles(undefined, { problem_type: 'regression' }),
      /problem_type is regression, which is not served/,
    ],
    ['with one label', () => exportFiles(undefined, { id2label: { 0: 'a' } }), /id2label names 1 labels/],
    [
      'with a row that has no label',
      () => exportFiles(undefined, { id2label: { 0: 'a', 2: 'b' } }),
      /no label for row 1 of 2/,
    ],
    [
      'with a label twice',
      () => exportFiles(undefined, { id2label: { 0: 'a', 1: 'b', 2: 'a' } }),
      /label "a" twice/,
    ],
    [
      'with fewer labels than scores',
      () => exportFiles(undefined, { id2label: { 0: 'a', 1: 'b' } }),
      /gives 3 scores, but there are 2 labels/,
    ],
    [
      'with an input that texts have no values for',
      () => exportFiles(classifierGraph(3, { inputs: ['input_ids', 'attention_mask', 'position_ids'] })),
      /needs the input position_ids/,
    ],
    [
      'of fixed shape',
      () => exportFiles(classifierGraph(3, { dimensions: [1, 8] })),
      /input_ids in the fixed shape \[1, 8\]/,
    ],
    [
      'with another output',
      () => exportFiles(classifierGraph(3, { output: 'scores' })),
      /no output logits, .* but scores/,
    ],
    [
      'whose graph is cut short',
      () => ({ ...exportFiles(), 'model.onnx': encodeModel(classifierGraph(3)).subarray(0, 4_000) }),
      /\/in\/model\.onnx: The file is not an ONNX model, or it is cut short/,
    ],
    [
      'whose external data are cut short',
      () => {
        const model = classifierGraph(3);
        const data = movedOut(model, 'model.onnx_data');
        return { ...exportFiles(model), 'model.onnx_data': data.subarray(0, 7) };
      },
      /\/in\/model\.onnx: .* Fetch or export it again/,
    ],
    [
      'whose tokenizer is none',
      () => ({ ...exportFiles(), 'tokenizer.json': '{}' }),
      /tokenizer\.json cannot be read/,
    ],
    [
      'that says nowhere how long a text may be',
      () => ({ ...exportFiles(undefined, { max_position_embeddings: null }), 'tokenizer_config.json': {} }),
      /give --max-tokens/,
    ],
    [
      'whose card is no YAML',
      () => ({ ...exportFiles(), 'README.md': '---\na: [\n---\n' }),
      /front matter of README\.md is no YAML/,
    ],
    [
      'with data outside of the folder',
      () => exportFiles(pointing('../secret.bin')),
      /\/in\/model\.onnx: .*keeps its data in "\.\.\/secret\.bin", which is not among .*; export/,
    ],
    [
      'with data of an absolute path',
      () => exportFiles(pointing('/etc/passwd')),
      /keeps its data in "\/etc\/passwd", which is not among/,
    ],
  ])('is refused %s', async (_, files, pattern) => {
    expect(await refusal(files())).toMatch(pattern);
  });

  it('is refused when there is no such folder, or none of that name', async () => {
    expect(await refusalOf()).toBe(`${at('in')} does not exist; give the folder of a model.`);
    await writeFile(at('in'), '');
    expect(await refusalOf()).toBe(`${at('in')} is no folder; give the one that the model lies in.`);
  });

  it.each<[string, Partial<ImportOptions>, RegExp]>([
    ['texts longer than its positions', { maxTokens: 64 }, /fails on a text of 64 tokens .*--max-tokens/s],
    [
      'a graph that it has not',
      { graph: 'other.onnx' },
      /other\.onnx is no graph of the folder, which has model\.onnx/,
    ],
    ['a graph outside of it', { graph: '../model.onnx' }, /is no graph of the folder/],
    ['a pooling that is none', { pooling: 'max' }, /--pooling: "max" is none of mean, cls/],
    ['a base', { base: '/tmp' }, /--base belongs to a LoRA adapter of PEFT/],
    ['too few labels', { labels: 'a,b' }, /gives 3 scores, but there are 2 labels/],
  ])('is refused with %s', async (_, more, pattern) => {
    expect(await refusal(exportFiles(), more)).toMatch(pattern);
  });

  it.each([
    [
      'the maximum',
      { pooling_mode_max_tokens: true },
      /pools by pooling_mode_max_tokens; served are mean and cls/,
    ],
    ['two ways', { pooling_mode_cls_token: true, pooling_mode_mean_tokens: true }, /pools by .* and /],
  ])('is refused when it pools by %s', async (_, pooling, pattern) => {
    const files = exportFiles(encoderGraph('token_embeddings'), { architectures: ['BertModel'] });
    const modules = [{ path: '1_Pooling', type: 'sentence_transformers.models.Pooling' }];
    expect(await refusal({ ...files, 'modules.json': modules, '1_Pooling/config.json': pooling })).toMatch(
      pattern,
    );
  });

  it('is refused with a step after the pooling', async () => {
    const files = exportFiles(encoderGraph('token_embeddings'), { architectures: ['BertModel'] });
    const modules = [{ path: '2_Dense', type: 'sentence_transformers.models.Dense' }];
    expect(await refusal({ ...files, 'modules.json': modules })).toMatch(
      /Dense is a step that is not served/,
    );
  });

  it.each(['model.onnx', 'tokenizer.json', 'model.onnx_data'])(
    'is refused when %s is a link',
    async (name) => {
      const model = classifierGraph(3);
      const files: Record<string, string | Uint8Array | object> = {
        ...exportFiles(model),
        'model.onnx_data': movedOut(model, 'model.onnx_data'),
      };
      files['model.onnx'] = encodeModel(model);
      await writeFiles(at('in'), without(files, name));
      await writeFile(at('elsewhere'), files[name] as Uint8Array);
      await symlink(at('elsewhere'), at(`in/${name}`));
      expect(await refusalOf()).toMatch(
        new RegExp(`${name.replace('.', '\\.')} is a link, which is not followed`),
      );
    },
  );
});

/** A classifier whose head lies in a file of another place. */
function pointing(location: string) {
  const model = classifierGraph(3);
  movedOut(model, location);
  return model;
}
