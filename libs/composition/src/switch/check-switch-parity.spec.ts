import { toThalamusError } from '@thalamus/errors';
import { ChildProcessRuntime, TextEncoder, Tokenizer } from '@thalamus/inference';
import { buildSwitchGraph, type LinearLayer, type LowRankBranches } from '@thalamus/model-merge';
import { encodeModel } from '@thalamus/onnx-graph';
import { PICO_CONFIG, picoEncoder, picoFactors, picoHead, picoTokenizer } from '@thalamus/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { checkSwitchParity } from './check-switch-parity.js';
import { LowRankEncoders } from './low-rank-encoder.js';

const runtime = new ChildProcessRuntime();
afterAll(() => runtime.close());

const base = picoEncoder(1, { kind: 'int8', blockSize: 16 });
/** Soft enough that a small error of a logit shows in the probabilities. */
const soft = (labels: number, seed: number): LinearLayer => {
  const { weights, bias } = picoHead(labels, seed);
  return { weights: weights.map((value) => value / 10), bias: bias.map((value) => value / 10) };
};
const HEADS = { bank: soft(2, 1), law: soft(3, 2) };
const LABELS = { bank: ['block', 'other'], law: ['appeal', 'other', 'law'] };
const ROWS = {
  bank: ['my card', 'lost money', 'block it', 'please'].map((text) => ({ text, label: 'block' })),
  law: ['the court', 'law', 'hello world'].map((text) => ({ text, label: 'appeal' })),
};
const shifted = ({ weights, bias }: LinearLayer, by: number): LinearLayer => ({
  weights,
  bias: bias.map((value, index) => (index === 0 ? value + by : value)),
});

/** Composes with heads of `fused` and checks against the true ones. `law` is low-rank when it is given branches. */
async function check(
  fused: Readonly<Record<'bank' | 'law', LinearLayer>> = HEADS,
  router = { bank: picoHead(1, 7), law: picoHead(1, 8) },
  branches?: { readonly fused: LowRankBranches; readonly alone: LowRankBranches },
) {
  const names = ['law', 'bank'] as const;
  const graph = buildSwitchGraph({
    base,
    parents: names.map((name) => ({
      name,
      labels: LABELS[name],
      head: fused[name],
      router: router[name],
      branches: name === 'law' ? branches?.fused : undefined,
    })),
  });
  const tokenizer = Tokenizer.parse(picoTokenizer());
  const composed = await runtime.load({ bytes: encodeModel(graph.model) });
  const session = await runtime.load({ bytes: encodeModel(base) });
  const maxTokens = PICO_CONFIG.maxPositions;
  const encoder = new TextEncoder(tokenizer, session, maxTokens);
  const own = branches && { ...branches.alone, rank: 4, alpha: 4 * branches.alone.scale };
  const lowRankBase = { graph: encodeModel(base), tokenizer, maxTokens, threads: 1 };
  const branched = own && (await LowRankEncoders.open(runtime, lowRankBase, [own])).of(own);
  const steps: string[] = [];
  const report = await checkSwitchParity(
    { graph, composed, tokenizer, maxTokens },
    names.map((name) => ({
      name,
      labels: LABELS[name],
      head: HEADS[name],
      encoder: (name === 'law' ? branched : undefined) ?? encoder,
      answersAlways: name === 'bank' || !branches,
      rows: ROWS[name],
    })),
    (done, total) => steps.push(`${done}/${total}`),
  );
  return { report, steps };
}

const refusal = async (work: Promise<unknown>) => {
  const error = toThalamusError(
    await work.then(
      () => undefined,
      (cause: unknown) => cause,
    ),
  );
  return `${error.code}: ${error.message}`;
};

describe('checkSwitchParity', () => {
  it('passes a graph that does what its parents do, and counts every row of every parent', async () => {
    const { report, steps } = await check();
    expect(report.maxAbs).toBeLessThan(1e-5);
    expect(report.n).toBe(7);
    expect(report.parents.map(({ name, n }) => [name, n])).toEqual([
      ['bank', 4],
      ['law', 3],
    ]);
    expect(steps.at(-1)).toBe('14/14');
  });

  it('counts what the router costs: one that is sure of a parent loses the rows of the other', async () => {
    const sure = { weights: new Float32Array(PICO_CONFIG.hiddenSize), bias: new Float32Array([50]) };
    const never = { ...sure, bias: new Float32Array([0]) };
    const { report } = await check(HEADS, { bank: sure, law: never });
    const [bank, law] = report.parents;
    expect(bank).toMatchObject({ routedHere: 4, rightRouted: bank!.rightAlone });
    expect(law).toMatchObject({ routedHere: 0, rightRouted: 0 });
  });

  it('refuses a head that is off by a little, in either parent', async () => {
    expect(await refusal(check({ ...HEADS, bank: shifted(HEADS.bank, 0.01) }))).toMatch(
      /^COMPOSITION_REFUSED: The composed graph does not do what its parents do: a probability is off by .* from bank alone/,
    );
    expect(await refusal(check({ ...HEADS, law: shifted(HEADS.law, -0.01) }))).toContain('from law alone');
  });

  it('tolerates what rounding gives', async () => {
    const { report } = await check({ ...HEADS, bank: shifted(HEADS.bank, 1e-5) });
    expect(report.maxAbs).toBeGreaterThan(1e-7);
  });

  const adapter = (seed: number, scale = 2): LowRankBranches => ({ factors: picoFactors(4, seed), scale });

  it('passes a low-rank parent beside a probe, each row under the branches of its own', async () => {
    const { report, steps } = await check(HEADS, undefined, { fused: adapter(1), alone: adapter(1) });
    expect(report.maxAbs).toBeLessThan(1e-5);
    expect(report.parents.map(({ name, n }) => [name, n])).toEqual([
      ['bank', 4],
      ['law', 3],
    ]);
    // Seven rows in the graph, seven by the base, and those of law and those given to it under its branches.
    const [done = 0, total = 0] = steps.at(-1)!.split('/').map(Number);
    expect(done).toBe(total);
    expect(total).toBeGreaterThanOrEqual(17);
  });

  it('refuses branches that are not those of the parent, in factors or scale', async () => {
    for (const fused of [adapter(2), adapter(1, 2.05)])
      expect(await refusal(check(HEADS, undefined, { fused, alone: adapter(1) }))).toContain(
        'from law alone',
      );
  });
});
