import { encodeModel } from '@thalamus/onnx-graph';
import { linearGraph } from '@thalamus/testing';
import { symlink } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { answer, at, imported, refusal, refusalOf, without } from '../../test/support/import-harness.js';
import { LINEAR_CONFIG, repositoryFiles, writeFiles, type Files } from '../../test/support/model-folders.js';
import type { ImportOptions } from './import-options.js';

describe('a model of an OIP model repository', () => {
  it('becomes an expert that takes and gives tensors, by the newest version', async () => {
    const newest = linearGraph();
    const files = {
      ...repositoryFiles(),
      '2/model.onnx': encodeModel(newest),
      '10/model.onnx': encodeModel(newest),
    };
    const { manifest, has } = await imported(files);
    expect(manifest).toMatchObject({
      name: 'linear',
      kind: 'full',
      task: 'feature-extraction',
      maxTokens: 1,
      parameterCount: 9,
    });
    expect(has('tokenizer.json')).toBe(false);
    const { graph, notes } = answer() as { graph: string; notes: string[] };
    expect(graph).toBe('10/model.onnx');
    expect(notes[0]).toMatch(/instance_group, dynamic_batching say how Triton runs the model/);
  });

  it.each<[string, Files, Partial<ImportOptions>]>([
    [
      'a repository with one model',
      Object.fromEntries(Object.entries(repositoryFiles()).map(([name, file]) => [`linear/${name}`, file])),
      {},
    ],
    ['no configuration', without(repositoryFiles(), 'config.pbtxt'), { name: 'linear' }],
    ['a version that is asked for', { ...repositoryFiles(), '2/model.onnx': 'x' }, { graph: '1/model.onnx' }],
    [
      'a graph of another name',
      {
        'config.pbtxt': `${LINEAR_CONFIG}default_model_filename: 'lin' "ear.onnx"`,
        '1/linear.onnx': encodeModel(linearGraph()),
      },
      {},
    ],
  ])('is taken from %s', async (_, files, more) => {
    expect((await imported(files, more)).manifest).toMatchObject({ name: 'linear', parameterCount: 9 });
  });

  const changed = (from: string, to: string) => repositoryFiles(LINEAR_CONFIG.replace(from, to));
  it.each<[string, Files, RegExp]>([
    [
      'for another backend',
      changed('onnxruntime_onnx', 'tensorrt_plan'),
      /config\.pbtxt: line 3 platform is "tensorrt_plan"; "onnxruntime_onnx" is served/,
    ],
    [
      'with a field that is not known',
      changed('max_batch_size', 'batch_size_max'),
      /line 4 batch_size_max is not a known field/,
    ],
    [
      'with a field of an input that is not known',
      changed('data_type: TYPE_FP32 dims: [ 2 ]', 'kind: 3'),
      /line 5 kind is not a known field of input/,
    ],
    ['with a field twice', changed('# y = x W + b', 'name: "a"'), /line 2 name is given twice/],
    [
      'that loads custom operators',
      repositoryFiles(`${LINEAR_CONFIG}model_operations { op_library_filename: "x.so" }`),
      /model_operations loads a library of custom operators/,
    ],
    [
      'that is an ensemble',
      repositoryFiles(`${LINEAR_CONFIG}ensemble_scheduling { }`),
      /ensemble_scheduling is not served/,
    ],
    [
      'with a bracket that is not closed',
      repositoryFiles(`${LINEAR_CONFIG}parameters {`),
      /line 15 the name of a field is expected, not the end of the file/,
    ],
    ['with a string that is not closed', changed('"linear"', '"linear'), /line 2 a string is not closed/],
    ['nested without end', repositoryFiles(`parameters ${'{ a '.repeat(100_000)}`), /nested deeper than 32/],
    [
      'whose input is not in the graph',
      changed('name: "x"', 'name: "z"'),
      /line 5: input z is not in the graph, which has x/,
    ],
    [
      'whose output has another type',
      changed('name: "y"\n    data_type: TYPE_FP32', 'name: "y"\n    data_type: TYPE_INT64'),
      /output y is int64 here and float32 in the graph/,
    ],
    [
      'whose output has another shape',
      changed('[ 3 ]', '[ 4 ]'),
      /output y has the shape \[-1, 4\], batch included, here and \[batch, 3\] in the graph/,
    ],
    [
      'whose graph file leaves the folder',
      repositoryFiles(`${LINEAR_CONFIG}default_model_filename: "../model.onnx"`),
      /default_model_filename is "\.\.\/model\.onnx"/,
    ],
    [
      'without a numbered folder',
      { 'config.pbtxt': LINEAR_CONFIG, 'latest/model.onnx': encodeModel(linearGraph()) },
      /has no 1\/model\.onnx/,
    ],
    [
      'beside another model',
      { 'a/1/model.onnx': 'x', 'b/config.pbtxt': LINEAR_CONFIG },
      /several models \(a, b\); give the folder of one/,
    ],
    [
      'in a folder of something else',
      { 'model.pt': 'x' },
      /nothing that can be imported: it has no adapter_config\.json/,
    ],
  ])('is refused %s', async (_, files, pattern) => {
    expect(await refusal(files)).toMatch(pattern);
  });

  it('is refused when its version is a link', async () => {
    await writeFiles(at('in'), { 'config.pbtxt': LINEAR_CONFIG });
    await writeFiles(at('elsewhere'), { 'model.onnx': encodeModel(linearGraph()) });
    await symlink(at('elsewhere'), at('in/1'));
    expect(await refusalOf()).toMatch(/has no 1\/model\.onnx|1 is a link/);
  });
});
