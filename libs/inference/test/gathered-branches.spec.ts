import { addGatheredBranches, BRANCH_INPUTS, encodeModel, graphOf, inspectGraph } from '@thalamus/onnx-graph';
import { linearGraph, PICO_CONFIG, picoEncoder } from '@thalamus/testing';
import { describe, expect, it } from 'vitest';

const STORAGES = [{ kind: 'float32' }, { kind: 'int8', blockSize: 16 }] as const;

describe('addGatheredBranches', () => {
  it.each(STORAGES)('puts a branch beside every linear layer of an encoder in $kind', (storage) => {
    const { model, branches } = addGatheredBranches(picoEncoder(1, storage));
    const sizes = branches.map(({ inputs, outputs }) => [inputs, outputs]);
    const layer = [...Array.from({ length: 4 }, () => [16, 16]), [16, 32], [32, 16]];
    expect(sizes).toEqual([...layer, ...layer]);
    expect(branches[0]).toMatchObject({
      layer: 'encoder.layer.0.attention.self.query',
      down: 'encoder.layer.0.attention.self.query.down',
      up: 'encoder.layer.0.attention.self.query.up',
    });
    const { inputs } = inspectGraph(encodeModel(model));
    const named = new Map(inputs.map((input) => [input.name, input]));
    expect(named.get(BRANCH_INPUTS.row)).toMatchObject({ dtype: 'int32' });
    expect(named.get(branches[4]!.up)).toMatchObject({ dtype: 'float16', shape: ['adapters', 'rank', 32] });
    expect(inputs).toHaveLength(2 + 3 + 2 * branches.length);
  });

  it('reads what query, key and value share once, and leaves the model that it was given', () => {
    const given = picoEncoder();
    const before = encodeModel(given);
    const { node } = graphOf(addGatheredBranches(given).model);
    expect(node.filter(({ opType }) => opType === 'If')).toHaveLength(4 * PICO_CONFIG.layers);
    expect(encodeModel(given)).toEqual(before);
  });

  it('refuses a graph without linear layers of an encoder', () => {
    expect(() => addGatheredBranches(linearGraph())).toThrow('no linear layers of an encoder');
  });
});
