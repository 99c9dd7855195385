import {
  openBundle,
  openRouterBundle,
  writeBundle,
  writeRouterBundle,
  type BundleFiles,
  type RouterManifest,
} from '@thalamus/bundle';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { zooFolder } from '../src/mesh/zoo-index.js';
import { createProgram } from '../src/program.js';

const folder = mkdtempSync(join(tmpdir(), 'thalamus-cascade-verbs-'));
const table = join(folder, 'table.jsonl');
/** As it was trained; and one whose first stage is never sure. */
const [out, unsure] = [join(folder, 'made'), join(folder, 'unsure')];

/** Two models: one knows sums, the other capitals. */
function writeTable(): void {
  const rows = Array.from({ length: 100 }, (_, at) => {
    const isSum = at % 2 === 0;
    const prompt = isSum ? `What is ${at * 7} + ${at * 13}?` : `Name the capital of country ${at}, please.`;
    return JSON.stringify({ id: at, prompt, scores: isSum ? [1, 0] : [0, 1] });
  });
  const meta = { set: 'made', models: ['adder', 'atlas'], licence: 'CC0-1.0' };
  writeFileSync(table, `${[JSON.stringify({ meta }), ...rows].join('\n')}\n`);
}

/** Runs a command line; what it printed as JSON. */
async function run(...words: string[]): Promise<Record<string, unknown>> {
  let printed = '';
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (text: string) => {
    printed += text;
    return true;
  };
  try {
    await (await createProgram()).parseAsync([...words, '--json'], { from: 'user' });
  } finally {
    process.stdout.write = write;
  }
  return JSON.parse(printed) as Record<string, unknown>;
}

async function filesOf(bundle: {
  readonly manifest: { readonly files: readonly { readonly path: string }[] };
  readFile(path: string): Promise<Uint8Array>;
}): Promise<BundleFiles> {
  const files = bundle.manifest.files.map(async ({ path }) => [path, await bundle.readFile(path)] as const);
  return Object.fromEntries(await Promise.all(files));
}

beforeAll(async () => {
  writeTable();
  await run('router', 'train', '--table', table, '--out', out, '--encoder', 'cascade', '--seed', '4');
  const bundle = await openRouterBundle(out);
  const { manifest } = bundle;
  const wide = ({ expert }: RouterManifest['candidates'][number]) => ({ expert, lower: -9, upper: 9 });
  await writeRouterBundle(
    unsure,
    {
      ...manifest,
      secondStage: {
        ...manifest.secondStage!,
        threshold: 99,
        intervals: manifest.candidates.map(wide),
      },
    },
    await filesOf(bundle),
  );
}, 240_000);
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('a cascade on the command line', () => {
  it('says in its choice file when its first stage would do', async () => {
    const bundle = await openRouterBundle(out);
    const choice = JSON.parse(new TextDecoder().decode(await bundle.readFile('choice.json'))) as {
      readonly second: { readonly stages: { readonly why: string; readonly firstWouldDo: boolean } };
    };
    expect(choice.second.stages.firstWouldDo).toBe(true);
    expect(choice.second.stages.why).toContain('the encoder "fast" would do');
    expect(bundle.manifest.secondStage?.threshold).toBe(0);
  });

  it.each([
    ['12 + 30?', 'adder'],
    ['Name the capital of country 3, please.', 'atlas'],
  ])(
    'routes %j by the stage that decides, and says which',
    async (prompt, expert) => {
      for (const [router, stage] of [
        [out, 'first'],
        [unsure, 'second'],
      ] as const) {
        const answer = await run('route', prompt, '--router', router);
        expect((answer['ranked'] as { expert: string }[])[0]?.expert).toBe(expert);
        expect(answer['decidingStage']).toMatchObject({
          stage,
          reason: expect.stringMatching(new RegExp(`^The ${stage} stage decided: `)) as string,
        });
      }
    },
    60_000,
  );

  it('is judged with the share of prompts that needed the second stage, and beside each stage alone', async () => {
    const judge = (router: string) =>
      run('router', 'evaluate', '--router', router, '--table', table, '--split', 'test');
    const [first, second] = [await judge(out), await judge(unsure)];
    expect([first['secondShare'], second['secondShare']]).toEqual([0, 1]);
    expect(first['baselines']).toMatchObject({ fastAlone: first['quality'] });
    expect(second['baselines']).toMatchObject({ accurateAlone: second['quality'] });
  }, 120_000);

  it('is refused with another base, and takes no further expert', async () => {
    const base = await openBundle(join(zooFolder(), 'base', 'minilm-l6'));
    const other = join(folder, 'other-base');
    await writeBundle(other, { ...base.manifest, description: 'Another digest.' }, await filesOf(base));
    for (const router of [out, unsure])
      await expect(run('route', 'x', '--router', router, '--base', other)).rejects.toThrow(
        /reads the encoder minilm-l6 .*has the digest .*--base/,
      );
    const target = join(folder, 'extended');
    await expect(
      run('router', 'extend', '--router', out, '--expert', 'third', '--table', table, '--out', target),
    ).rejects.toMatchObject({ code: 'METHOD_UNSUPPORTED' });
    expect(existsSync(target)).toBe(false);
  });
});
