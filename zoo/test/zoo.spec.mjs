import { wilson } from '@thalamus/compatibility';
import { ChildProcessRuntime } from '@thalamus/inference';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBase } from '../scripts/embeddings.mjs';
import { figuresOf, openServed } from '../scripts/served-experts.mjs';
import { SAMPLE_ROWS, TASKS } from '../scripts/tasks.mjs';
import { checkCommitted, readSample } from '../scripts/verify/check-index.mjs';
import { LARGEST_ZOO } from '../scripts/verify/check-size.mjs';
import { readFigures, ROUNDED_ANSWERS } from '../scripts/verify/check-samples.mjs';
import { Report } from '../scripts/verify/report.mjs';

const ZOO = dirname(dirname(fileURLToPath(import.meta.url)));

describe('committed files of the zoo', () => {
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-zoo-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const faultsOf = async (zoo) => {
    const report = new Report();
    await checkCommitted(zoo, report);
    return report.faults;
  };
  /** The zoo with one file changed: everything else is as committed. */
  const changed = (path, change) => {
    const zoo = mkdtempSync(join(folder, 'zoo-'));
    for (const part of ['zoo.json', 'data', 'router', 'experts', 'fleet', 'language-models'])
      cpSync(join(ZOO, part), join(zoo, part), { recursive: true });
    symlinkSync(join(ZOO, 'base'), join(zoo, 'base'));
    writeFileSync(join(zoo, path), change(readFileSync(join(zoo, path), 'utf8')));
    return zoo;
  };

  it('agree: digests, licences, splits, samples, loss table', async () => {
    expect(await faultsOf(ZOO)).toEqual([]);
  });

  it('are refused when a bundle is not the one that the index names', async () => {
    const zoo = changed('zoo.json', (text) => text.replace(/sha256:.{4}/, 'sha256:0000'));
    expect((await faultsOf(zoo)).join()).toContain('the digest of base/minilm-l6');
  });

  it('are refused when a manifest claims other figures than its bytes', async () => {
    const zoo = changed('experts/snips7/expert.json', (text) => text.replace('"n": 695', '"n": 696'));
    expect((await faultsOf(zoo)).join()).toContain('the digest of experts/snips7');
  });

  it('are refused when a remote expert or the sample of the fleet is another one', async () => {
    const moved = changed('fleet/mixtral-8x7b/expert.json', (text) => text.replace(':8082/', ':8083/'));
    expect((await faultsOf(moved)).join()).toContain('the digest of fleet/mixtral-8x7b');
    const unknown = changed('zoo.json', (text) => text.replace('If 6 potatoes', 'If 7 potatoes'));
    expect((await faultsOf(unknown)).join()).toContain('the sample of the fleet');
  });

  it('are refused when a language model is another one, or was trained on other rows', async () => {
    const folder = 'language-models/mlm-clinical';
    const licensed = changed('data/domain-splits.json', (text) =>
      text.replace('"expert": 1928', '"expert": 1'),
    );
    expect((await faultsOf(licensed)).join()).toContain('the rows of clinical in mlm-clinical');
    const index = JSON.parse(readFileSync(join(ZOO, 'zoo.json'), 'utf8'));
    const { digest } = index.languageModels.find((item) => item.folder === folder);
    const moved = changed('zoo.json', (text) => text.replace(digest, `sha256:${'0'.repeat(64)}`));
    expect((await faultsOf(moved)).join()).toContain(`the digest of ${folder}`);
  });

  it('are refused when the sample of a domain holds a test text, or rows of another use', async () => {
    const test = readFileSync(join(ZOO, 'data/sample/patents.test.jsonl'), 'utf8').split('\n')[0];
    const zoo = changed('data/sample/patents.train.jsonl', (text) => `${test}\n${text}`);
    const faults = (await faultsOf(zoo)).join();
    expect(faults).toContain('patents.train.jsonl holds a test text');
    expect(faults).toContain('patents.train.jsonl holds a row of another use');
  });

  it('are refused when they are more than 91 MB together', async () => {
    const zoo = changed('zoo.json', (text) => text);
    writeFileSync(join(zoo, 'more.bin'), '');
    truncateSync(join(zoo, 'more.bin'), LARGEST_ZOO);
    expect((await faultsOf(zoo)).join()).toMatch(
      /size: the files of the zoo are .*more than 91\.00 MB: more\.bin/,
    );
  });

  it('are refused when a row of the split manifest changes its use', async () => {
    const zoo = changed('data/splits.json', (text) => text.replace('"uses": "ee', '"uses": "rr'));
    const faults = (await faultsOf(zoo)).join();
    expect(faults).toContain('expert rows of banking77');
    expect(faults).toContain('router rows of banking77');
  });

  it('are refused when a test sample holds a training text', async () => {
    const train = readFileSync(join(ZOO, 'data/sample/snips7.train.csv'), 'utf8').split('\n')[1];
    const zoo = changed('data/sample/snips7.test.csv', (text) =>
      [text.split('\n')[0], train, ...text.split('\n').slice(2)].join('\n'),
    );
    expect((await faultsOf(zoo)).join()).toContain('snips7.test.csv holds a training text');
  });
});

describe('experts on their committed samples, through ONNX Runtime in a child process', () => {
  const runtime = new ChildProcessRuntime();
  const figures = readFigures(ZOO).classifiers;
  let experts;
  beforeAll(async () => {
    const base = await openBase(join(ZOO, 'base/minilm-l6'), runtime);
    experts = await openServed(ZOO, TASKS, base, { runtime });
  }, 120_000);
  afterAll(() => runtime.close());

  it.each(TASKS)('$expert answers as committed', { timeout: 120_000 }, async ({ set, expert }) => {
    const opened = experts.find((one) => one.expert === expert);
    const found = await figuresOf(opened, readSample(ZOO, set, 'test'));
    const right = Math.round(found.accuracy * found.n);
    expect(found.n).toBe(SAMPLE_ROWS);
    expect(Math.abs(right - figures[set].right)).toBeLessThanOrEqual(ROUNDED_ANSWERS);
    // The sample is drawn from the test file: the accuracy on the whole file lies in its interval (99.9 %).
    const { value } = opened.manifest.evaluation.find(
      ({ split, metric }) => split === 'test' && metric === 'accuracy',
    );
    const { low, high } = wilson(right, found.n, 3.29);
    expect(value).toBeGreaterThan(low);
    expect(value).toBeLessThan(high);
  });
});
