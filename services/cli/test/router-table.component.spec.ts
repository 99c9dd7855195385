import { openBundle } from '@thalamus/bundle';
import { writePicoLowRank, writePicoMaskedLm } from '@thalamus/testing';
import { existsSync } from 'node:fs';
import { readFile, symlink } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startThalamus, thalamus, type Ended } from './support/run-thalamus.js';
import { trainingFolder, type TrainingFolder } from './support/training-folder.js';

// Each test starts several processes, which take seconds where the machine is busy.
vi.setConfig({ testTimeout: 600_000 });

const WORDS = 'the card lost my law court hello world money please block it'.split(' ');
let folder: TrainingFolder;
beforeAll(async () => {
  folder = await trainingFolder();
  const { digest } = await openBundle(folder.at('base'));
  const on = { name: 'pico', digest };
  for (const seed of [1, 2])
    await writePicoMaskedLm(folder.at(`m${seed}`), { name: `m${seed}`, seed }, on, { rank: 2, alpha: 4 });
  await writePicoLowRank(folder.at('c1'), { name: 'c1' }, ['one', 'two'], on, { rank: 2, alpha: 4 });
  await folder.write('few.jsonl', lines(8));
  // Enough that a run can be ended in the middle.
  await folder.write('many.jsonl', lines(3_000));
});
afterAll(() => folder.remove());

function lines(count: number): string {
  const rows = Array.from({ length: count }, (_, at) => {
    const words = Array.from({ length: 4 + (at % 18) }, (_, place) => WORDS[(at * 5 + place * at) % 12]);
    return JSON.stringify({ text: words.join(' '), id: `p${at}`, domain: `d${at % 3}`, group: at >> 2 });
  });
  return `${rows.join('\n')}\n`;
}

const here = () => ({ folder: folder.path });
const words = (experts: string, prompts: string, out: string, ...more: string[]) => [
  ...['router', 'table', '--experts', experts, '--prompts', prompts, '--out', out],
  ...['--base', 'base', '--threads', '1', ...more],
];
const table = (...args: Parameters<typeof words>) => thalamus(words(...args), here());
const isThere = (name: string) => existsSync(folder.at(name));
const unpacked = async (name: string) => gunzipSync(await readFile(folder.at(name))).toString('utf8');

function expectFault({ exit, stdout, stderr }: Ended, code: number, pattern: RegExp): void {
  expect(stderr).toMatch(pattern);
  expect(stderr).not.toMatch(/ at .*:\d+:\d+/);
  expect(stdout).toBe('');
  expect(exit).toBe(code);
}

describe('a table that is measured in this process', () => {
  it('goes on after Ctrl-C and after it was killed, and has the same bytes as one that was not', async () => {
    const whole = await table('m1,m2', 'many.jsonl', 'whole.gz', '--json');
    expect(whole.exit, whole.stderr).toBe(0);
    expect(JSON.parse(whole.stdout)).toMatchObject({ prompts: 3_000, measured: 6_000, keptFromBefore: 0 });

    const stopped = words('m1,m2', 'many.jsonl', 'stopped.gz');
    const run = startThalamus(stopped, here());
    await run.says(/measuring {2}[1-9]\d*\/6000/);
    run.interrupt();
    run.interrupt();
    expectFault(await run.ended, 130, /Interrupted; .*stopped\.gz\.partial.*same command again.*--restart/);
    expect(isThere('stopped.gz')).toBe(false);

    const killed = startThalamus(stopped, here());
    await killed.says(/measuring {2}[1-9]\d*\/6000[^]*measuring {2}[1-9]\d*\/6000/);
    killed.kill();
    expect((await killed.ended).exit).toBe('SIGKILL');
    expect(isThere('stopped.gz')).toBe(false);

    expectFault(
      await table('m1,m2', 'many.jsonl', 'stopped.gz', '--seed', '5'),
      2,
      /of a run with other experts, prompts or settings.*--restart/,
    );
    const resumed = await thalamus([...stopped, '--json'], here());
    expect(resumed.exit, resumed.stderr).toBe(0);
    const { measured, keptFromBefore } = JSON.parse(resumed.stdout) as Record<string, number>;
    expect(measured! + keptFromBefore!).toBe(6_000);
    expect(keptFromBefore).toBeGreaterThan(0);
    expect(await readFile(folder.at('stopped.gz'))).toEqual(await readFile(folder.at('whole.gz')));
    expect((await folder.list()).filter((name) => name.startsWith('stopped'))).toEqual(['stopped.gz']);
  });

  it('has a row for each prompt, in their order, which routers are trained on', async () => {
    const { exit, stdout, stderr } = await thalamus(
      [
        ...words('m1', 'few.jsonl', 'few.gz', '--masks', '3', '--set', 'few', '--licence', 'CC0-1.0'),
        '--experts',
        'm2',
      ],
      here(),
    );
    expect(exit, stderr).toBe(0);
    expect(stdout).toMatch(/8 prompts, 2 experts for fill-mask/);
    expect(stdout).toMatch(/fitted on 50 prompts or more; this table has 8/);
    const [first, ...rows] = (await unpacked('few.gz')).trimEnd().split('\n');
    expect(JSON.parse(first!)).toMatchObject({
      meta: { set: 'few', lossUnit: 'nats', licence: 'CC0-1.0', masks: 3, missing: [0, 0], n: 8 },
    });
    rows.forEach((text, at) => {
      const row = JSON.parse(text) as Record<string, unknown>;
      expect(row).toMatchObject({ id: `p${at}`, task: `d${at % 3}`, doc: String(at >> 2) });
      expect((row['maskLosses'] as number[][]).map(({ length }) => length)).toEqual([3, 3]);
    });
  });

  it('is refused before anything runs, and leaves nothing', async () => {
    await folder.write('odd.jsonl', '{"text": "a"}\n{"text": "secret", "lable": "b"}\n');
    const listed = await folder.list();
    const refused = async (experts: string, prompts: string, code: number, reason: RegExp) => {
      const fault = await table(experts, prompts, 'none/T.gz');
      expectFault(fault, code, reason);
      expect(fault.stderr).not.toContain('secret');
    };
    await refused('m1,m9', 'few.jsonl', 1, /expert\.json cannot be read, since there is no .*m9/);
    await refused('m1,c1', 'few.jsonl', 1, /m1 is for fill-mask, c1 for text-classification/);
    await refused('m1,m2', 'odd.jsonl', 1, /line 2 has the unknown field "lable"/);
    await refused('m1,m2', 'none.jsonl', 1, /none\.jsonl cannot be read \(ENOENT\)/);
    expectFault(
      await thalamus([...words('m1,m2', 'few.jsonl', 'none/T.gz'), '--base', 'other'], here()),
      1,
      /m1 stands on pico .*name the folder of its base with --base/,
    );
    expectFault(await table('m1,m2', 'few.jsonl', 'few.jsonl'), 2, /few\.jsonl is there already/);
    expect(await folder.list()).toEqual(listed);
  });

  it('is measured by one run at a time, and keeps what it has where the disk is full', async () => {
    const first = startThalamus(words('m1,m2', 'many.jsonl', 'twice.gz'), here());
    await first.says(/measuring {2}[1-9]/);
    expectFault(await table('m1,m2', 'few.jsonl', 'twice.gz'), 2, /Another run measures .*twice\.gz; wait/);
    first.interrupt();
    expect((await first.ended).exit).toBe(130);
    await symlink('/dev/full', folder.at('full.gz.writing'));
    expectFault(await table('m1,m2', 'few.jsonl', 'full.gz'), 1, /The disk is full: .*full\.gz needs/);
    expect(isThere('full.gz')).toBe(false);
    const again = await table('m1,m2', 'few.jsonl', 'full.gz', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({
      measured: 0,
      keptFromBefore: 16,
      sequencesPerSecond: null,
    });
  });
});
