import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

const pure = [
  '@nestjs/*',
  '@grpc/*',
  'kafkajs',
  'rxjs',
  'onnxruntime-node',
  'pino',
  '@opentelemetry/*',
  'tokenizers',
];
const kernelFiles = [
  'errors',
  'tensor',
  'linalg',
  'onnx-graph',
  'autodiff',
  'model-merge',
  'routing',
  'compatibility',
];

/** Which projects may import which: base <- {contract, kernel} <- platform <- app. Never back, never sideways between apps. */
const depConstraints = [
  { sourceTag: 'type:base', onlyDependOnLibsWithTags: ['type:base'], bannedExternalImports: pure },
  { sourceTag: 'type:contract', onlyDependOnLibsWithTags: ['type:base', 'type:contract'] },
  {
    sourceTag: 'type:kernel',
    onlyDependOnLibsWithTags: ['type:base', 'type:kernel'],
    bannedExternalImports: pure,
  },
  {
    sourceTag: 'type:platform',
    onlyDependOnLibsWithTags: ['type:base', 'type:contract', 'type:kernel', 'type:platform'],
  },
  {
    sourceTag: 'type:app',
    onlyDependOnLibsWithTags: ['type:base', 'type:contract', 'type:kernel', 'type:platform'],
  },
  {
    sourceTag: 'type:testing',
    onlyDependOnLibsWithTags: ['type:base', 'type:contract', 'type:kernel', 'type:platform', 'type:testing'],
  },
  {
    sourceTag: 'type:e2e',
    onlyDependOnLibsWithTags: ['type:base', 'type:contract', 'type:kernel', 'type:platform', 'type:testing'],
  },
];

/** A library is what its index exports; `exports` of its package refuses the rest too, but only when it is compiled. */
const deepImports = {
  group: ['@thalamus/*/src/**', '@thalamus/*/dist/**'],
  message: 'Import the library by its name: what its index does not export is its own.',
};
/** Services speak over gRPC and events. They export nothing, so the boundary rule does not know their names. */
const serviceImports = {
  group: readdirSync(join(import.meta.dirname, 'services')).flatMap((name) => [
    `@thalamus/${name}`,
    `@thalamus/${name}/**`,
  ]),
  message: 'A service is reached over gRPC or events, never by import.',
};
const environmentImports = {
  group: ['process', 'node:process'],
  message: 'Only config.ts files read the environment: take a typed setting instead.',
};

/** Tests may also use what is shared among tests. */
const testConstraints = depConstraints.map((constraint) => ({
  ...constraint,
  onlyDependOnLibsWithTags: [...constraint.onlyDependOnLibsWithTags, 'type:testing'],
}));

export default tseslint.config(
  { ignores: ['**/dist', '**/coverage', '**/gen', '**/node_modules', '.nx', '.cache'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['vitest.config.ts'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { depConstraints, enforceBuildableLibDependency: false, allow: [] },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      // Nest declares its option bags as classes.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 5],
      complexity: ['error', 15],
      'no-restricted-imports': ['error', { patterns: [deepImports, serviceImports, environmentImports] }],
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'Name every export.' },
        {
          selector:
            "MemberExpression[object.name='process']:matches([property.name='env'], [property.value='env'])",
          message: 'Only config.ts files read the environment: take a typed setting instead.',
        },
      ],
    },
  },
  {
    files: ['**/*.spec.ts', '**/test/**/*.ts', 'e2e/**/*.ts', 'libs/testing/**/*.ts'],
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { depConstraints: testConstraints, enforceBuildableLibDependency: false, allow: [] },
      ],
      'max-lines-per-function': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      'no-restricted-syntax': 'off',
    },
  },
  {
    files: [
      '**/config.ts',
      '**/register.ts',
      'libs/config/**/*.ts',
      'vitest.config.ts',
      '**/vite.config.ts',
      '**/test/**/*.ts',
    ],
    rules: { 'no-restricted-syntax': 'off' },
  },
  { files: ['services/cli/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    // A root module is a class with one static method that makes a dynamic module.
    files: ['**/app.module.ts'],
    rules: { '@typescript-eslint/no-extraneous-class': ['error', { allowStaticOnly: true }] },
  },
  {
    // Index arithmetic over typed arrays: every index is bounded by the loop around it.
    files: ['libs/training/**/*.ts', 'libs/composition/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  {
    files: kernelFiles.map((name) => `libs/${name}/src/**/*.ts`),
    ignores: ['**/*.spec.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            deepImports,
            serviceImports,
            {
              group: ['node:*', 'fs', 'net', 'http', 'child_process', 'process'],
              message: 'Kernels are pure.',
            },
          ],
        },
      ],
      'no-restricted-globals': ['error', 'process', 'fetch', 'setTimeout', 'setInterval'],
      'max-lines-per-function': ['error', { max: 140, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
);
