import { ThalamusError } from '@thalamus/errors';
import { encodeModel, graphOf, inspectGraph, type OnnxModel } from '@thalamus/onnx-graph';
import { linearGraph, PICO_CONFIG, picoEncoder, picoFactors, picoHead } from '@thalamus/testing';
import { describe, expect, it } from 'vitest';
import type { LowRankBranches, MergeParent } from '../merge-method.js';
import { buildSwitchGraph } from './switch-graph.js';

const base = picoEncoder(1, { kind: 'int8', blockSize: 16 });
const LABELS = ['x', 'y'];

const probe = (name: string): MergeParent => ({
  name,
  labels: LABELS,
  head: picoHead(2, 1),
  router: picoHead(1, 2),
});
const lowRank = (name: string, rank: number, change: Partial<LowRankBranches> = {}): MergeParent => ({
  ...probe(name),
  branches: { factors: picoFactors(rank, rank), scale: 1, ...change },
});

/** Constants of a graph and of all graphs inside it. */
function constants({ graph }: Pick<OnnxModel, 'graph'>): { name: string; dims: number[] }[] {
  const { initializer = [], node = [] } = graph ?? {};
  const inner = node.flatMap(({ attribute }) =>
    attribute.flatMap(({ g }) => (g ? constants({ graph: g }) : [])),
  );
  return [...initializer.map(({ name, dims }) => ({ name, dims: dims.map(Number) })), ...inner];
}

const refusal = (...parents: MergeParent[]): string => {
  try {
    buildSwitchGraph({ base, parents });
  } catch (error) {
    if (ThalamusError.is(error)) return `${error.code}: ${error.message}`;
  }
  throw new Error('nothing was refused');
};

describe('buildSwitchGraph with low-rank parents', () => {
  it('takes and gives what it does with probes, and passes our own inspection', () => {
    const mixed = buildSwitchGraph({ base, parents: [probe('a'), lowRank('b', 2), lowRank('c', 4)] });
    const probes = buildSwitchGraph({ base, parents: ['a', 'b', 'c'].map(probe) });
    const [of, before] = [mixed, probes].map(({ model }) => inspectGraph(encodeModel(model)));
    expect({ inputs: of?.inputs, outputs: of?.outputs }).toEqual({
      inputs: before?.inputs,
      outputs: before?.outputs,
    });
    expect([mixed.parents, mixed.labels]).toEqual([probes.parents, probes.labels]);
  });

  it('holds every weight of the base once, and a row of factors for each low-rank parent and one of zeros', () => {
    const { model } = buildSwitchGraph({ base, parents: [probe('a'), lowRank('b', 2), lowRank('c', 4)] });
    const held = constants(model);
    for (const { name } of graphOf(base).initializer)
      expect(held.filter((constant) => constant.name === `_base/${name}`)).toHaveLength(1);
    const down = held.filter(({ name }) => name.endsWith('.down'));
    expect(down).toHaveLength(6 * PICO_CONFIG.layers);
    for (const { dims } of down) expect([dims[0], dims[2]]).toEqual([3, 4]);
  });

  it('has branches beside the layers that a parent changes only', () => {
    const factors = picoFactors(2, 1).filter(({ layer }) => layer.endsWith('.query'));
    const { model } = buildSwitchGraph({ base, parents: [probe('a'), lowRank('b', 2, { factors })] });
    expect(constants(model).filter(({ name }) => name.endsWith('.down'))).toHaveLength(PICO_CONFIG.layers);
  });

  it('gives the same bytes whatever the order of the parents', () => {
    const parents = [probe('a'), lowRank('b', 2), lowRank('c', 4)];
    expect(encodeModel(buildSwitchGraph({ base, parents: parents.toReversed() }).model)).toEqual(
      encodeModel(buildSwitchGraph({ base, parents }).model),
    );
  });

  it('refuses branches that do not fit, naming parent and layer', () => {
    const [first, ...others] = picoFactors(2, 1);
    const layer = first!.layer;
    const change = (changed: Partial<typeof first>) =>
      lowRank('b', 2, { factors: [{ ...first!, ...changed }, ...others] });
    const where = `COMPOSITION_REFUSED: The branch of b beside ${layer}`;
    expect(refusal(probe('a'), lowRank('b', 2, { factors: [] }))).toContain(
      'b is low-rank, but has no factors',
    );
    expect(refusal(probe('a'), lowRank('b', 2, { factors: [first!, first!] }))).toContain(
      `${where} is given twice`,
    );
    expect(refusal(probe('a'), change({ a: new Float32Array(3) }))).toContain(
      `${where} has 3 and 32 numbers where 2 x 16 and 16 x 2 are needed`,
    );
    expect(refusal(probe('a'), change({ b: new Float32Array(32).fill(70_000) }))).toContain(
      'not finite in float16',
    );
    expect(refusal(probe('a'), lowRank('b', 2, { scale: NaN }))).toContain('not finite');
    expect(refusal(probe('a'), change({ layer: 'encoder.layer.9.output.dense' }))).toContain(
      'b has a branch beside encoder.layer.9.output.dense of 16 inputs and 16 outputs, which the base has not',
    );
    expect(refusal(probe('a'), change({ inputs: 8, a: new Float32Array(16) }))).toContain('of 8 inputs');
  });

  it('refuses a base without linear layers of an encoder', () => {
    const graph = graphOf(linearGraph());
    expect(() =>
      buildSwitchGraph({
        base: {
          ...base,
          graph: {
            ...graphOf(base),
            node: graphOf(base).node.filter(({ opType }) => opType !== 'MatMul'),
            initializer: graph.initializer,
          },
        },
        parents: [lowRank('b', 2)],
      }),
    ).toThrow('no linear layers of an encoder');
  });
});
