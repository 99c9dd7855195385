import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchedMesh } from '../support/mesh.js';
import { ROOT, temporaryFolder } from '../support/paths.js';
import { launchFresh } from '../support/start-mesh.js';
import { missingLines, readBlocks, type Choice } from './pages.js';
import { checkoutFolder, runPage } from './run-page.js';

const TUTORIALS = readdirSync(join(ROOT, 'docs/tutorials')).filter((name) => name.endsWith('.md'));
const pages: [string, Choice][] = [
  ...TUTORIALS.map((name): [string, Choice] => [`docs/tutorials/${name}`, 'every sh block']),
  ['README.md', 'marked sh blocks'],
];

let mesh: LaunchedMesh;
let folder: string;
beforeAll(async () => {
  folder = temporaryFolder('docs');
  mesh = await launchFresh({ arguments: ['--replay-pace', '0.05'] });
});
afterAll(async () => {
  await mesh.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('what a page says works as it says', () => {
  it.each(pages)('%s', async (page, choice) => {
    const blocks = readBlocks(join(ROOT, page), choice);
    expect(blocks.length).toBeGreaterThan(0);
    const results = await runPage(blocks, checkoutFolder(join(folder, page.replaceAll('/', '-'))), mesh);
    for (const { block, output, exit } of results) {
      const where = `${page}:${block.line}\n${block.script}\n--- printed\n${output}`;
      expect(exit, where).toBe(0);
      expect(missingLines(output, block.expected), where).toEqual([]);
    }
    expect(results).toHaveLength(blocks.length);
  });
});

describe('the reader of pages', () => {
  const blocksOf = (text: string, choice: Choice = 'every sh block') => {
    const path = join(folder, 'page.md');
    writeFileSync(path, text);
    return readBlocks(path, choice);
  };
  const PAGE =
    '# A\n```sh\necho a\n```\n\n```output\na\n```\n```console\nb\n```\n<!-- docs:test -->\n```sh\nc\n```\n';

  it('takes sh blocks with their output, or only those that are marked', () => {
    expect(blocksOf(PAGE)).toEqual([
      { line: 2, script: 'echo a', expected: ['a'] },
      { line: 13, script: 'c', expected: [] },
    ]);
    expect(
      blocksOf(PAGE.replace('```output\na\n```\n', ''), 'marked sh blocks').map(({ script }) => script),
    ).toEqual(['c']);
  });

  it('refuses a block without end, and an output of nothing', () => {
    expect(() => blocksOf('```sh\necho')).toThrow('page.md:1: the block has no end');
    expect(() => blocksOf('```output\na\n```\n')).toThrow('output of no block');
  });

  it('finds lines in their order, whatever stands for the ellipsis', () => {
    expect(missingLines('x\na   1 b\nc\n', ['a … b', 'c'])).toEqual([]);
    expect(missingLines('c\na 1 b\n', ['a … b', 'c'])).toEqual(['c']);
    expect(missingLines('a+b\n', ['a+b', 'a.b'])).toEqual(['a.b']);
  });

  it('ends at the first block that fails', async () => {
    const blocks = blocksOf('```sh\necho one\n```\n```sh\nfalse\necho two\n```\n```sh\necho three\n```\n');
    const results = await runPage(blocks, folder, undefined);
    expect(results.map(({ output, exit }) => [output.trim(), exit])).toEqual([
      ['one', 0],
      ['', 1],
    ]);
  });
});
