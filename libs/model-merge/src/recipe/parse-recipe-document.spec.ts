import { ThalamusError } from '@thalamus/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRecipeDocument } from './parse-recipe-document.js';

const caught = (text: string): ThalamusError => {
  try {
    parseRecipeDocument(text);
  } catch (error) {
    if (ThalamusError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

const lines = (...text: string[]) => text.join('\n');

/** The shape of mergekit's own example of TIES, with names of ours. */
const TIES = lines(
  'models:',
  '  - model: base-encoder',
  '    # no parameters necessary for the base',
  '  - model: law@3',
  '    parameters:',
  '      density: [1, 0.7, 0.1] # a gradient',
  '      weight: 1.0',
  '  - model: code',
  '    parameters:',
  '      density: 0.5',
  '      weight:',
  '        - filter: mlp',
  '          value: 0.5',
  '        - value: 0',
  'merge_method: ties',
  'base_model: base-encoder',
  'parameters:',
  '  normalize: yes',
  '  int8_mask: true',
  'dtype: float16',
);

const one = (value: number | boolean | string) => [{ filter: undefined, values: [value] }];

describe('recipes in mergekit’s YAML', () => {
  it('are read with gradients, filters, versions and the base among the models', () => {
    expect(parseRecipeDocument(TIES)).toEqual({
      method: 'ties',
      base: { name: 'base-encoder', version: '' },
      models: [
        {
          name: 'law',
          version: '3',
          settings: { density: [{ filter: undefined, values: [1, 0.7, 0.1] }], weight: one(1) },
        },
        {
          name: 'code',
          version: '',
          settings: {
            density: one(0.5),
            weight: [
              { filter: 'mlp', values: [0.5] },
              { filter: undefined, values: [0] },
            ],
          },
        },
      ],
      settings: { normalize: one(true), int8_mask: one(true) },
      dtype: 'float16',
    });
  });

  it('of slerp begin with the model that is the base, and may vary t by filter and layer', () => {
    const { base, models, settings } = parseRecipeDocument(
      lines(
        'merge_method: slerp',
        'base_model: org/base',
        'models: [{ model: org/other }, { model: org/base }]',
        'parameters:',
        '  t:',
        '    - { filter: self_attn, value: [0, 0.5, 1] }',
        '    - { filter: "*", value: 0.5 }',
        'tokenizer_source: base',
        'dtype: float16',
        'out_dtype: float32',
      ),
    );
    expect(base).toBeUndefined();
    expect(models.map(({ name }) => name)).toEqual(['org/base', 'org/other']);
    expect(settings).toEqual({
      t: [
        { filter: 'self_attn', values: [0, 0.5, 1] },
        { filter: undefined, values: [0.5] },
      ],
    });
  });

  it('of linear name no base, and a weight for all stands for each', () => {
    const recipe = lines(
      'merge_method: linear',
      'models:',
      '  - model: a',
      '  - model: b',
      '    parameters: { weight: 2 }',
      'parameters: { weight: 1, normalize: false }',
    );
    const { base, models, settings, dtype } = parseRecipeDocument(recipe);
    expect({ base, dtype }).toEqual({ base: undefined, dtype: undefined });
    expect(models.map((model) => model.settings)).toEqual([{}, { weight: one(2) }]);
    expect(settings).toEqual({ weight: one(1), normalize: one(false) });
    expect(parseRecipeDocument(`${recipe}\nbase_model: b`).models).toHaveLength(2);
    expect(caught(`${recipe}\nbase_model: c`).violations).toEqual([
      {
        field: 'base_model',
        description: '(line 7) is not one of models; linear takes its inputs from there alone',
      },
    ]);
  });

  it('may be of twin', () => {
    expect(
      parseRecipeDocument(
        lines(
          'merge_method: twin',
          'models: [{ model: banking77 }, { model: snips7@2 }]',
          'parameters: { rows_per_parent: 200 }',
        ),
      ),
    ).toEqual({
      method: 'twin',
      base: undefined,
      models: [
        { name: 'banking77', version: '', settings: {} },
        { name: 'snips7', version: '2', settings: {} },
      ],
      settings: { rows_per_parent: one(200) },
      dtype: undefined,
    });
  });

  it('may repeat themselves by aliases', () => {
    const { models } = parseRecipeDocument(
      lines(
        'merge_method: task_arithmetic',
        'base_model: base',
        'models:',
        '  - model: a',
        '    parameters: &same { weight: 0.3 }',
        '  - model: b',
        '    parameters: *same',
      ),
    );
    expect(models.map(({ settings }) => settings)).toEqual([{ weight: one(0.3) }, { weight: one(0.3) }]);
  });
});

describe('faults of recipes', () => {
  it('are all told at once, each with line and field', () => {
    const error = caught(
      lines(
        'merge_method: ties',
        'base_model: base',
        'models:',
        '  - model: law',
        '    parameters:',
        '      weigth: 1',
        '      density: 1.5',
        '  - model: law',
        '    parameters: { weight: [0.1, heavy] }',
        '  - paramters: {}',
        'parameters:',
        '  lambda: lots',
        'dtype: float8',
        'dtyp: float16',
      ),
    );
    expect(error.code).toBe('REQUEST_INVALID');
    expect(error.violations).toEqual([
      {
        field: 'dtyp',
        description:
          '(line 14) is unknown; known are merge_method, base_model, models, parameters, dtype, out_dtype, tokenizer_source, slices, modules, tokenizer, chat_template',
      },
      { field: 'parameters.lambda', description: '(line 12) must be a finite number' },
      {
        field: 'models[0].parameters.weigth',
        description: '(line 6) is unknown; known are weight, density',
      },
      { field: 'models[0].parameters.density', description: '(line 7) must be 0 to 1' },
      { field: 'models[1].model', description: '(line 8) names law again' },
      { field: 'models[1].parameters.weight[1]', description: '(line 9) must be a finite number' },
      { field: 'models[2].paramters', description: '(line 10) is unknown; known are model, parameters' },
      { field: 'models[2]', description: '(line 10) has no model' },
      { field: 'models', description: '(line 3) gives "law" no weight; ties has no default for it' },
      { field: 'dtype', description: '(line 13) must be float32, float16, int8' },
    ]);
    expect(error.message).toContain('parameters.lambda (line 12) must be a finite number; ');
  });

  it('of parameters that do not go together have their lines too', () => {
    const { violations } = caught(
      lines(
        'merge_method: twin',
        'models: [{model: a}, {model: b}]',
        'parameters:',
        '  rank: 2',
        '  rank_energy: 0.9',
        '  top: [1, 2]',
        '  shared: linear',
        '  shared_lambda: 2',
        '  information_rows: 5',
      ),
    );
    expect(violations).toEqual([
      {
        field: 'parameters.top',
        description: '(line 6) must be one value: twin is the same for all tensors',
      },
      {
        field: 'parameters.rank_energy',
        description: '(line 5) cannot be given beside rank; choose one rule',
      },
      { field: 'parameters.shared_lambda', description: '(line 8) is not taken by linear' },
      {
        field: 'parameters.information_rows',
        description: '(line 9) is not taken by linear, which measures none',
      },
    ]);
  });

  it('say once what a model lacks that is named twice', () => {
    const { violations } = caught('merge_method: ties\nbase_model: c\nmodels: [{model: a}, {model: a}]');
    expect(violations).toEqual([
      { field: 'models[1].model', description: '(line 3) names a again' },
      { field: 'models', description: '(line 3) gives "a" no weight; ties has no default for it' },
    ]);
  });

  it.each<[string, string, string, string]>([
    ['no text', '', 'recipe', '(line 1) must be a mapping of names to values'],
    ['a list', '- a', 'recipe', '(line 1) must be a mapping of names to values'],
    ['no method', 'models: []', 'recipe', '(line 1) has no merge_method'],
    ['a mapping as method', 'merge_method: {}', 'merge_method', '(line 1) must be text'],
    [
      'slices',
      'merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}]\nslices: []',
      'slices',
      '(line 3) is not supported: layers are merged where they stand. Name whole models under models; a gradient of values varies a parameter from the first layer to the last',
    ],
    [
      'another tokenizer',
      'merge_method: linear\nmodels: [{model: a, parameters: {weight: 1}}]\ntokenizer_source: union',
      'tokenizer_source',
      '(line 3) must be base, or left out: all parents must have the tokenizer of the base',
    ],
    [
      'an adapter',
      'merge_method: linear\nmodels:\n- model: a+b\n  parameters: {weight: 1}\n- model: c\n  parameters: {weight: 1}',
      'models[0].model',
      '(line 3) asks for an adapter with "+", which is not supported; register the adapter as an expert and name it',
    ],
    [
      'half a version',
      'merge_method: linear\nmodels:\n- {model: c, parameters: {weight: 1}}\n- {model: a@, parameters: {weight: 1}}',
      'models[1].model',
      '(line 4) must be a name, or name@version',
    ],
    [
      'no base',
      'merge_method: ties\nmodels: [{model: a, parameters: {weight: 1}}]',
      'recipe',
      '(line 1) has no base_model; ties needs one',
    ],
    [
      'a weight of the base',
      'merge_method: ties\nbase_model: b\nmodels:\n- {model: a, parameters: {weight: 1}}\n- {model: b, parameters: {weight: 1}}',
      'models[1].parameters',
      '(line 5) is of the base, which has none: its weight is what others leave',
    ],
    [
      'no t',
      'merge_method: slerp\nmodels: [{model: a}, {model: b}]',
      'recipe',
      '(line 1) lacks t, which slerp needs',
    ],
    [
      'a third of slerp',
      'merge_method: slerp\nparameters: {t: 0.5}\nmodels: [{model: a}, {model: b}, {model: c}]',
      'models',
      '(line 3) names 3 models; slerp takes 2',
    ],
    [
      'another base of slerp',
      'merge_method: slerp\nbase_model: c\nparameters: {t: 0.5}\nmodels: [{model: a}, {model: b}]',
      'base_model',
      '(line 2) is not one of models; slerp takes its inputs from there alone',
    ],
    [
      'one parent of twin',
      'merge_method: twin\nmodels: [{model: a}]',
      'models',
      '(line 2) names 1 models besides the base; twin takes 2 to 64',
    ],
    [
      'weights of twin',
      'merge_method: twin\nmodels: [{model: a, parameters: {weight: 1}}, {model: b}]',
      'models[0].parameters.weight',
      '(line 2) is unknown; known are ',
    ],
    [
      'half a row of twin',
      'merge_method: twin\nmodels: [{model: a}, {model: b}]\nparameters: {rows_per_parent: 20.5}',
      'parameters.rows_per_parent',
      '(line 3) must be a whole number, 20 to 100000',
    ],
    [
      'a type of switch',
      'merge_method: switch\nmodels: [{model: a}, {model: b}]\ndtype: float16',
      'dtype',
      '(line 3) is not for switch: its graph keeps the base as it is',
    ],
    [
      'a rule without value',
      'merge_method: linear\nmodels: [{model: a, parameters: {weight: [{filter: mlp}]}}]',
      'models[0].parameters.weight[0]',
      '(line 2) has no value',
    ],
    [
      'an empty gradient',
      'merge_method: linear\nmodels: [{model: a, parameters: {weight: []}}]',
      'models[0].parameters.weight',
      '(line 2) is an empty list; give a value',
    ],
    [
      'an infinite weight',
      'merge_method: linear\nmodels: [{model: a, parameters: {weight: .inf}}]',
      'models[0].parameters.weight',
      '(line 2) must be a finite number',
    ],
    ['a merge key', 'x: &x {}\nmerge_method: linear\n<<: *x', 'x', '(line 1) is unknown; known are'],
  ])('%s', (_, text, field, description) => {
    const [first] = caught(text).violations;
    expect(first?.field).toBe(field);
    expect(first?.description.startsWith(description)).toBe(true);
  });

  it.each([
    [
      'a name twice',
      'merge_method: linear\nmerge_method: ties',
      '(line 2) is no YAML: Map keys must be unique',
    ],
    ['a tab', 'models:\n\t- a', '(line 2) is no YAML: '],
    ['two documents', 'a: 1\n---\nb: 2', 'is no YAML: Source contains multiple documents'],
    ['a tag', 'merge_method: !exec ls', '(line 1) is no YAML: Unresolved tag'],
    ['an alias of nothing', 'merge_method: *gone', '(line 1) is an alias of "gone", which no anchor before'],
  ])('of YAML name the line: %s', (_, text, part) => expect(caught(text).message).toContain(part));

  it('end at limits: length, and aliases of aliases', () => {
    expect(caught(`#${'x'.repeat(300_000)}`).message).toContain('at most 262144 are read');
    const values = Array.from({ length: 3000 }, () => '1').join(', ');
    const model = (index: number) => `- { model: m${index}, parameters: { weight: *long } }`;
    const bomb = lines(
      'merge_method: linear',
      `parameters: { weight: &long [${values}] }`,
      'models:',
      ...Array.from({ length: 60 }, (_, index) => model(index)),
    );
    expect(caught(bomb).message).toContain('beyond 20000 values');
  });

  it('are the only thing that any text throws', () => {
    const pieces = fc.constantFrom(
      ...['merge_method', 'models', 'parameters', 'weight', 'base_model', 'filter', 'value', 'model'],
      ...[': ', '\n', '  ', '- ', '[', ']', '{', '}', '&a ', '*a', '<<', '!!binary ', '? ', '|', '"', ', '],
      ...['ties', 'linear', 'slerp', 'twin', '1', '.nan', '0x1F', 'null', '~', '1:30', '2001-01-01', '#'],
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string({ maxLength: 3 })), { maxLength: 40 }), (parts) => {
        try {
          parseRecipeDocument(parts.join(''));
        } catch (error) {
          expect(ThalamusError.is(error) && error.code === 'REQUEST_INVALID', parts.join('')).toBe(true);
        }
      }),
      { seed: 11, numRuns: 500 },
    );
  });
});
