import { spawnSync } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const BOUNDARY = '@nx/enforce-module-boundaries';

let eslint: ESLint;
beforeAll(() => {
  // The boundary rule reads Nx's graph of projects from its cache; without one it would skip itself.
  const made = spawnSync(process.execPath, [join(root, 'node_modules/.bin/nx'), 'show', 'projects'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NX_DAEMON: 'false' },
  });
  expect(made.stdout, made.stderr).toContain('@thalamus/router');
  eslint = new ESLint({
    cwd: root,
    // The code of the tests is in no file, so rules that need types are off; none of those under test does.
    overrideConfig: [
      {
        ...tseslint.configs.disableTypeChecked,
        files: ['**/*.ts'],
        languageOptions: { parserOptions: { projectService: false, project: null } },
      },
    ],
  });
}, 180_000);

/** Rules that a file of this content at this place breaks, each with its message. */
async function broken(path: string, code: string): Promise<{ rule: string; message: string }[]> {
  const results = await eslint.lintText(code, { filePath: join(root, path) });
  return results.flatMap(({ messages }) =>
    messages.map(({ ruleId, message }) => ({ rule: ruleId ?? 'fatal', message })),
  );
}

describe('the linter refuses', { timeout: 120_000 }, () => {
  it.each([
    [
      'a service that imports a service by name',
      'services/router/src/application/x.ts',
      "import { gatewaySettings } from '@thalamus/gateway';\nexport const x = gatewaySettings;\n",
      'no-restricted-imports',
      /gRPC or events/,
    ],
    [
      'a service that imports a service by path',
      'services/router/src/application/x.ts',
      "import { gatewaySettings } from '../../../gateway/src/config.js';\nexport const x = gatewaySettings;\n",
      BOUNDARY,
      /relative/,
    ],
    [
      'a library that imports a service',
      'libs/grpc/src/x.ts',
      "import { gatewaySettings } from '../../../services/gateway/src/config.js';\nexport const x = gatewaySettings;\n",
      BOUNDARY,
      /relative|type:platform/,
    ],
    [
      'a kernel that imports a platform library',
      'libs/tensor/src/x.ts',
      "import { GrpcServer } from '@thalamus/grpc';\nexport const x = GrpcServer;\n",
      BOUNDARY,
      /type:kernel/,
    ],
    [
      'a kernel that imports the contracts',
      'libs/routing/src/x.ts',
      "import { TOPICS } from '@thalamus/contracts';\nexport const x = TOPICS;\n",
      BOUNDARY,
      /type:kernel/,
    ],
    [
      'a contract that imports a kernel',
      'libs/contracts/src/x.ts',
      "import { parseFlags } from '@thalamus/routing';\nexport const x = parseFlags;\n",
      BOUNDARY,
      /type:contract|Circular/,
    ],
    [
      'the base that imports anything of ours',
      'libs/errors/src/x.ts',
      "import { TOPICS } from '@thalamus/contracts';\nexport const x = TOPICS;\n",
      BOUNDARY,
      /type:base|Circular/,
    ],
    [
      'product code that imports what is shared among tests',
      'libs/grpc/src/x.ts',
      "import { x as y } from '@thalamus/testing';\nexport const x = y;\n",
      BOUNDARY,
      /type:platform|Circular/,
    ],
    [
      'a kernel that imports Nest',
      'libs/tensor/src/x.ts',
      "import { Injectable } from '@nestjs/common';\nexport const x = Injectable;\n",
      BOUNDARY,
      /not allowed to import.*@nestjs\/common/s,
    ],
    [
      'a kernel that reads files',
      'libs/tensor/src/x.ts',
      "import { readFileSync } from 'node:fs';\nexport const x = readFileSync;\n",
      'no-restricted-imports',
      /Kernels are pure/,
    ],
    [
      'a kernel that waits',
      'libs/routing/src/x.ts',
      'export const x = () => setTimeout(() => undefined, 1);\n',
      'no-restricted-globals',
      /setTimeout/,
    ],
    [
      'an import past the index of a library',
      'services/router/src/application/x.ts',
      "import { ERROR_CODES } from '@thalamus/errors/src/codes.js';\nexport const x = ERROR_CODES;\n",
      'no-restricted-imports',
      /by its name/,
    ],
    [
      'a kernel that imports past the index of another',
      'libs/model-merge/src/x.ts',
      "import { x as y } from '@thalamus/tensor/dist/x.js';\nexport const x = y;\n",
      'no-restricted-imports',
      /by its name/,
    ],
    [
      'the environment outside config.ts',
      'services/router/src/application/x.ts',
      "export const x = process.env['HOME'];\n",
      'no-restricted-syntax',
      /typed setting/,
    ],
    [
      'the environment by another spelling',
      'services/router/src/application/x.ts',
      "export const x = process['env'];\n",
      'no-restricted-syntax',
      /typed setting/,
    ],
    [
      'the environment through an import',
      'services/router/src/application/x.ts',
      "import { env } from 'node:process';\nexport const x = env;\n",
      'no-restricted-imports',
      /typed setting/,
    ],
    [
      'a default export',
      'libs/grpc/src/x.ts',
      'export default 1;\n',
      'no-restricted-syntax',
      /Name every export/,
    ],
    [
      'printing in a service',
      'services/router/src/application/x.ts',
      "console.log('x');\n",
      'no-console',
      /console/,
    ],
  ])('%s', async (_what, path, code, rule, message) => {
    const found = await broken(path, code);
    expect(found.filter((one) => one.rule === rule).map((one) => one.message)).toEqual([
      expect.stringMatching(message),
    ]);
  });

  it('nothing of code that keeps the rules', async () => {
    const code =
      "import { TOPICS } from '@thalamus/contracts';\nimport { parseFlags } from '@thalamus/routing';\nexport const x = [TOPICS, parseFlags];\n";
    expect(await broken('services/router/src/application/x.ts', code)).toEqual([]);
    expect(await broken('services/router/src/config.ts', 'export const x = process.env;\n')).toEqual([]);
  });
});

describe('the check of layers refuses', { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-layers-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** What is wrong with a small workspace of these files, under the rules of this one. */
  function check(files: Readonly<Record<string, string>>): { status: number | null; output: string } {
    const at = mkdtempSync(join(folder, 'case-'));
    for (const [path, code] of Object.entries(files)) {
      mkdirSync(join(at, dirname(path)), { recursive: true });
      writeFileSync(join(at, path), code);
    }
    cpSync(join(root, 'tsconfig.base.json'), join(at, 'tsconfig.base.json'));
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs'),
        '.',
        '--config',
        join(root, '.dependency-cruiser.mjs'),
        '--output-type',
        'err',
      ],
      { cwd: at, encoding: 'utf8' },
    );
    // Colours are forced on a terminal and by Nx.
    return { status, output: stripVTControlCharacters(stdout + stderr) };
  }

  it.each([
    [
      'domain-is-pure',
      {
        'services/s/src/domain/a.ts': "import { b } from '../adapters/b.js';\nexport const a = b;\n",
        'services/s/src/adapters/b.ts': 'export const b = 1;\n',
      },
    ],
    [
      'domain-is-pure',
      {
        'services/s/src/domain/a.ts': "import { b } from '../application/b.js';\nexport const a = b;\n",
        'services/s/src/application/b.ts': 'export const b = 1;\n',
      },
    ],
    [
      'application-knows-no-adapter',
      {
        'services/s/src/application/a.ts': "import { b } from '../adapters/b.js';\nexport const a = b;\n",
        'services/s/src/adapters/b.ts': 'export const b = 1;\n',
      },
    ],
    [
      'only-the-module-wires',
      {
        'services/s/src/adapters/a.ts': "import { b } from '../app.module.js';\nexport const a = b;\n",
        'services/s/src/app.module.ts': 'export const b = 1;\n',
      },
    ],
    [
      'no-cycles',
      {
        'libs/l/src/a.ts': "import { b } from './b.js';\nexport const a = () => b;\n",
        'libs/l/src/b.ts': "import { a } from './a.js';\nexport const b = () => a;\n",
      },
    ],
    ['no-orphans', { 'libs/l/src/left-over.ts': 'export const a = 1;\n' }],
  ])('%s', (rule, files) => {
    const { status, output } = check(files);
    expect(output).toContain(`error ${rule}:`);
    expect(status).not.toBe(0);
  });

  it('nothing of layers that point inward', () => {
    const { status, output } = check({
      'services/s/src/main.ts': "import { a } from './app.module.js';\nexport const m = a;\n",
      'services/s/src/app.module.ts': "import { b } from './adapters/b.js';\nexport const a = b;\n",
      'services/s/src/adapters/b.ts': "import { c } from '../application/c.js';\nexport const b = c;\n",
      'services/s/src/application/c.ts': "import { d } from '../domain/d.js';\nexport const c = d;\n",
      'services/s/src/domain/d.ts': 'export const d = 1;\n',
    });
    expect(output).toContain('no dependency violations found');
    expect(status).toBe(0);
  });
});
