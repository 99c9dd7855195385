import type { Digest, RouterManifest } from '@thalamus/bundle';
import { compareChoices } from '@thalamus/compatibility';
import { PROMPT_FEATURES } from '@thalamus/routing';
import { describe, expect, it } from 'vitest';
import type { TrainingBase } from '../training-base.port.js';
import { decidePrompts, type RouterPair } from './decide-prompts.js';
import type { OpenedRouter } from './opened-router.js';
import type { RoutingTable } from './routing-table.js';
import { splitParts, type TableSplitRule } from './table-split.js';

const WIDTH = PROMPT_FEATURES.length;
const DIGITS = PROMPT_FEATURES.indexOf('digitShare');
const digest = (of: string): Digest => `sha256:${of.repeat(64)}`;

/** A base that is only asked for word pieces. */
const base = {
  manifest: { name: 'words', maxTokens: 16 },
  digest: digest('a'),
  tokens: { encode: (texts: readonly string[]) => Promise.resolve(texts.map(() => ({ ids: [1] }))) },
} as unknown as TrainingBase;

/** A router model whose losses are `bias` by expert, and less by `digits` for each deviation of the share of digits. */
function router(
  version: string,
  heads: Readonly<Record<string, { readonly bias: number; readonly digits?: number }>>,
  more: Partial<RouterManifest> = {},
): OpenedRouter {
  const experts = Object.keys(heads);
  const weights = new Float32Array(experts.length * WIDTH);
  experts.forEach((expert, k) => (weights[k * WIDTH + DIGITS] = -(heads[expert]?.digits ?? 0)));
  return {
    manifest: {
      ...{ name: 'made', version, task: 'text-generation', lossUnit: 'error' },
      encoder: { name: 'words', digest: base.digest },
      candidates: experts.map((expert) => ({ expert, fittedOn: { lossTable: digest('d'), rows: 1 } })),
      calibration: { intervals: experts.map(() => ({ lower: 0, upper: 0 })) },
      ...more,
    } as unknown as RouterManifest,
    digest: digest(version),
    heads: {
      kind: 'linear',
      dimension: WIDTH,
      weights,
      bias: Float32Array.from(experts, (expert) => heads[expert]!.bias),
    },
    spec: {
      blocks: [{ kind: 'prompt', width: WIDTH, weight: 1 }],
      scale: { mean: new Float32Array(WIDTH).fill(0.02), deviation: new Float32Array(WIDTH).fill(0.02) },
    },
    second: undefined,
    centroids: undefined,
    riskRows: undefined,
  };
}

/** Sums that the adder has right, and capitals that the atlas has. */
function table(count = 200, models = ['Adder', 'Atlas']): RoutingTable {
  return {
    ...{ digest: digest('d'), set: 'made', licence: 'CC0-1.0', origin: 'here', unit: 'error' as const },
    models: models.map((name) => ({ name, expert: name.toLowerCase() })),
    rows: Array.from({ length: count }, (_, at) => {
      const isSum = at % 2 === 0;
      return {
        id: `r${at}`,
        task: isSum ? 'sums' : 'capitals',
        prompt: isSum
          ? `What is 1${at} and 2${at} and 30?`
          : `Which town is the capital of land ${'x'.repeat(at % 9)}`,
        losses: Float64Array.from(models, (_model, k) => (k === 2 ? 0 : k === Number(!isSum) ? 0.1 : 1)),
      };
    }),
    ...{ skipped: 0, notes: [] },
  };
}

const blind = router('1', { adder: { bias: 0.4 }, atlas: { bias: 0.5 } });
const seeing = router('2', { adder: { bias: 0.6, digits: 0.1 }, atlas: { bias: 0.55, digits: -0.1 } });
const pair = (more: Partial<RouterPair> = {}): RouterPair => ({
  ...{ before: blind, after: seeing, base, table: table(), split: 'all' },
  ...more,
});
const options = { tolerance: 0.05, seed: 1, resamples: 200 };

describe('two router models on a table', () => {
  it('decide on every prompt, and are told apart by what their choices lost', async () => {
    const { prompts, leftOut, notes } = await decidePrompts(pair());
    expect([prompts.length, leftOut]).toEqual([200, 0]);
    expect(prompts[1]).toEqual({
      ...{ id: 'r1', choiceBefore: 'adder', choiceAfter: 'atlas', lossBefore: 1, lossAfter: 0.1 },
      ...{ best: 'atlas', leastLoss: 0.1, slices: ['domain=capitals', 'expert=adder'] },
    });
    const { overall, flips } = compareChoices(prompts, options);
    expect(overall.changed.value).toBe(0.5);
    expect(overall.lossDifference.mean).toBeCloseTo(-0.45, 12);
    expect(overall.regretAfter.mean).toBe(0);
    expect(flips.overall.negativeFlips.count).toBe(0);
    expect(notes).toHaveLength(2);
    expect(notes[0]).toMatch(/^made@1: The router was fitted on rows of this part/);
  });

  it('the other way round give up half of the good choices', async () => {
    const { prompts } = await decidePrompts(pair({ before: seeing, after: blind }));
    const { slices, flips } = compareChoices(prompts, options);
    expect(flips.overall.negativeFlips.value).toBe(0.5);
    expect(slices.find(({ slice }) => slice === 'expert=atlas')?.worse.value).toBe(1);
    expect(slices.find(({ slice }) => slice === 'domain=sums')?.worse.value).toBe(0);
  });

  it('may know other experts: the least loss is that of any that one knows', async () => {
    const wide = router('3', { atlas: { bias: 0.5 }, poet: { bias: 0.6 }, adder: { bias: 0.7 } });
    const { prompts } = await decidePrompts(
      pair({ after: wide, table: table(20, ['Adder', 'Atlas', 'Poet', 'Other']) }),
    );
    expect(prompts[0]).toMatchObject({
      choiceBefore: 'adder',
      choiceAfter: 'atlas',
      best: 'poet',
      leastLoss: 0,
    });
    const alone = await decidePrompts(pair({ table: table(20, ['Adder', 'Atlas', 'Poet']) }));
    expect(alone.prompts[0]).toMatchObject({ best: 'adder', leastLoss: 0.1 });
  });

  it('leave out prompts on which one has no expert with a result, and choose among those that have one', async () => {
    const own = table(4);
    own.rows[0]!.losses.fill(NaN);
    own.rows[2]!.losses[0] = NaN;
    const { prompts, leftOut } = await decidePrompts(pair({ table: own }));
    expect(leftOut).toBe(1);
    expect(prompts.find(({ id }) => id === 'r2')).toMatchObject({
      choiceBefore: 'atlas',
      choiceAfter: 'atlas',
    });
    for (const row of own.rows) row.losses.fill(NaN);
    await expect(decidePrompts(pair({ table: own }))).rejects.toThrow('on any of its 4 prompts');
  });

  it('are compared on what both set aside', async () => {
    const rule = (seed: number): TableSplitRule => ({ by: 'prompt', seed, validation: 0.1, test: 0.4 });
    const splitBy = (own: OpenedRouter, seed: number): OpenedRouter => ({
      ...own,
      manifest: { ...own.manifest, split: { ...rule(seed), fitted: ['train'] } } as unknown as RouterManifest,
    });
    const [before, after] = [splitBy(blind, 1), splitBy(seeing, 2)];
    const { prompts, notes } = await decidePrompts(pair({ before, after, split: 'test' }));
    const [one, other] = [splitParts(table().rows, rule(1)), splitParts(table().rows, rule(2))];
    const wanted = table().rows.filter((_, at) => one[at] === 'test' && other[at] === 'test');
    expect(prompts.map(({ id }) => id)).toEqual(wanted.map(({ id }) => id));
    expect(wanted.length).toBeGreaterThan(10);
    expect(notes).toEqual([]);
    await expect(decidePrompts(pair({ split: 'test' }))).rejects.toThrow(
      'does not say how its table was split',
    );
    const tiny = {
      ...table(),
      rows: table()
        .rows.filter((_, at) => one[at] === 'train')
        .slice(0, 3),
    };
    await expect(decidePrompts(pair({ before, after, table: tiny, split: 'test' }))).rejects.toThrow(
      'No prompt of made was set aside by both',
    );
  });

  it.each([
    [{ after: router('2', { poet: { bias: 1 } }) }, 'made has no results of poet, which made@2 chooses from'],
    [
      { after: router('2', { adder: { bias: 1 } }, { task: 'fill-mask' }) },
      'made@1 decides for text-generation and made@2 for fill-mask',
    ],
    [{ table: { ...table(), unit: 'nats' as const } }, 'has losses in "nats" where made@1 predicts "error"'],
    [{ base: { ...base, digest: digest('b') } }, 'reads the encoder words'],
  ])('are refused when they cannot be compared (%#)', async (more, message) => {
    await expect(decidePrompts(pair(more))).rejects.toThrow(message);
  });
});
