import { writePicoBase, writePicoMaskedLm } from '@thalamus/testing';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startJobMesh, type JobMesh } from '../support/job-mesh.js';
import { temporaryFolder } from '../support/paths.js';
import { startThalamus, thalamus } from '../support/run-command.js';

// Each command is a process, which takes seconds where the machine is busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 480_000, hookTimeout: 480_000 });
const WORDS = 'the card lost my law court hello world money please block it'.split(' ');
/** A word that only prompts have. */
const OWN_WORD = 'zyxword';
let mesh: JobMesh;
let folder: string;
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = temporaryFolder('loss-table');
  const { digest } = await writePicoBase(at('base'), { name: 'pico' });
  const on = { name: 'pico', digest };
  for (const seed of [1, 2])
    await writePicoMaskedLm(at(`m${seed}`), { name: `m${seed}`, seed }, on, { rank: 2, alpha: 4 });
  writeFileSync(at('few.jsonl'), prompts(100));
  writeFileSync(at('many.jsonl'), prompts(3_000));
  mesh = await startJobMesh(2);
  for (const name of ['base', 'm1', 'm2']) {
    const { exit, stderr } = await mesh.run(['experts', 'add', at(name)], { timeoutMs: 240_000 });
    expect(exit, stderr).toBe(0);
  }
});
afterAll(async () => {
  await mesh.stop();
  rmSync(folder, { recursive: true, force: true });
});

function prompts(count: number): string {
  const lines = Array.from({ length: count }, (_, row) => {
    const words = Array.from(
      { length: 4 + (row % 18) },
      (_unused, place) => WORDS[(row * 5 + place * row) % 12],
    );
    return JSON.stringify({ text: `${words.join(' ')} ${OWN_WORD}`, id: `p${row}` });
  });
  return `${lines.join('\n')}\n`;
}

/** The words of a command: experts of folders, or of the mesh. */
const words = (experts: string, file: string, out: string, ...more: string[]) => [
  ...['router', 'table', '--experts', experts, '--prompts', at(file), '--out', at(out), '--set', 'made'],
  ...more,
];
const ofFolders = (file: string, out: string) =>
  words(`${at('m1')},${at('m2')}`, file, out, '--base', at('base'), '--threads', '1', '--json');
const ofMesh = (file: string, out: string, ...more: string[]) =>
  words('m1,m2@1', file, out, '--parts', '2', '--mesh', mesh.dataFolder, ...more);

async function answer(args: readonly string[]): Promise<Record<string, unknown>> {
  const { exit, stdout, stderr } = await thalamus(args, { timeoutMs: 240_000 });
  expect(exit, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

interface TableJob {
  readonly id: string;
  readonly state: string;
  readonly parameters: { readonly dataset: string; readonly part: number; readonly parts: number };
}
const jobsOn = async (dataset: string) =>
  (await mesh.json<TableJob[]>(['jobs', 'list', '--kind', 'loss-table'])).filter(
    ({ parameters }) => parameters.dataset === dataset,
  );

describe('a loss table that jobs measure', () => {
  it('has the bytes of the one that this process measures; no word of a prompt is in its jobs', async () => {
    await answer(ofFolders('few.jsonl', 'few-here.gz'));
    const made = await answer(ofMesh('few.jsonl', 'few-mesh.gz', '--json'));
    expect(made).toMatchObject({ prompts: 100, task: 'fill-mask', measured: 200, keptFromBefore: 0 });
    expect(readFileSync(at('few-mesh.gz')).equals(readFileSync(at('few-here.gz')))).toBe(true);
    const jobs = await jobsOn('few@1');
    expect(
      jobs.map(({ state, parameters }) => `${state} ${parameters.part}/${parameters.parts}`).sort(),
    ).toEqual(['succeeded 1/2', 'succeeded 2/2']);
    expect(JSON.stringify(jobs)).not.toContain(OWN_WORD);
    const { stdout } = await mesh.run(['jobs', 'list']);
    expect(stdout).toMatch(/loss-table +succeeded +2 experts on few@1, part [12] of 2/);
  });

  it('goes on while nobody follows it, and when a worker dies; the same command finds its jobs and ends with the same bytes', async () => {
    await answer(ofFolders('many.jsonl', 'many-here.gz'));
    const command = ofMesh('many.jsonl', 'many-mesh.gz');
    const run = startThalamus(command, { timeoutMs: 240_000 });
    await expect.poll(() => run.said.stderr, { timeout: 240_000 }).toMatch(/measuring {2}\d+\/6000/);
    run.child.kill('SIGINT');
    const { exit, stderr } = await run.ended;
    expect(stderr).toMatch(/Interrupted; the 2 jobs of the table go on .* Run the same command again/);
    expect(exit).toBe(130);
    expect(existsSync(at('many-mesh.gz'))).toBe(false);

    // A worker that dies takes nothing with it that was stored.
    mesh.workers[0]?.child.kill('SIGKILL');
    const before = (await jobsOn('many@1')).map(({ id }) => id).sort();
    expect(before).toHaveLength(2);
    const made = await answer([...command, '--json']);
    expect(Number(made['measured']) + Number(made['keptFromBefore'])).toBe(6_000);
    expect((await jobsOn('many@1')).map(({ id }) => id).sort()).toEqual(before);
    expect(readFileSync(at('many-mesh.gz')).equals(readFileSync(at('many-here.gz')))).toBe(true);
  });

  it('is refused before anything is sent, and options of folders are none of jobs', async () => {
    const refused = async (args: readonly string[], code: number, reason: RegExp) => {
      const { exit, stderr } = await thalamus(args, { timeoutMs: 240_000 });
      expect(stderr).toMatch(reason);
      expect(exit).toBe(code);
    };
    const onMesh = ['--mesh', mesh.dataFolder];
    await refused(
      words('m1,m9', 'few.jsonl', 'no.gz', ...onMesh),
      1,
      /No version m9@\(stable\) is registered/,
    );
    await refused(words('m1,pico', 'few.jsonl', 'no.gz', ...onMesh), 1, /pico is for feature-extraction/);
    await refused(words('m1,m1', 'few.jsonl', 'no.gz', ...onMesh), 2, /m1@1 and m1@1 are both called m1/);
    await refused(ofMesh('few.jsonl', 'no.gz', '--threads', '1'), 2, /--threads: experts of the mesh/);
    await refused(ofMesh('few.jsonl', 'few-mesh.gz'), 2, /few-mesh\.gz is there already/);
    await refused([...ofFolders('few.jsonl', 'no.gz'), '--parts', '2'], 2, /--parts: folders are measured/);
    await refused(ofMesh('few.jsonl', 'no.gz', '--parts', '0'), 2, /whole number from 1 to 256/);
    expect(await jobsOn('few@1')).toHaveLength(2);
  });
});
