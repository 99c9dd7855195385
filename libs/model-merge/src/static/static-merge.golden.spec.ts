import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { startStaticMerge } from './static-merge.js';
import { STATIC_METHODS, staticMethod } from './static-methods.js';
import type { TensorGroup } from './static-method.js';

interface GoldenCase {
  readonly source: string;
  readonly method: string;
  readonly shared: Record<string, unknown>;
  readonly parents: readonly { name: string; parameters: Record<string, number> }[];
  readonly merged: Readonly<Record<string, string>>;
}

interface Golden {
  readonly inputs: Readonly<
    Record<
      string,
      {
        dims: number[];
        base: string;
        parents: Record<string, string>;
        information: Record<string, string>;
      }
    >
  >;
  readonly cases: readonly GoldenCase[];
}

const golden = JSON.parse(readFileSync(new URL('__golden__/merges.json', import.meta.url), 'utf8')) as Golden;

/** The line of the goldens: mergekit computes in float32, we in float64 over float32 differences. */
const TOLERANCE = 1e-6;

const floats = (text: string): Float32Array => {
  const bytes = Buffer.from(text, 'base64');
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

const groupOf = (name: string, parents: GoldenCase['parents']): TensorGroup => {
  const input = golden.inputs[name]!;
  return {
    name,
    dims: input.dims,
    base: floats(input.base),
    parents: parents.map((parent) => ({
      name: parent.name,
      data: floats(input.parents[parent.name]!),
      information: floats(input.information[parent.name]!),
    })),
  };
};

const mergeCase = ({ method, shared, parents, merged }: GoldenCase) => {
  const merge = startStaticMerge(staticMethod(method), { shared, parents });
  const groups = Object.keys(merged).map((name) => groupOf(name, parents));
  while (merge.needsPass) {
    for (const group of groups) merge.observe(group);
    merge.endPass();
  }
  return groups.map((group) => ({ group, result: merge.merge(group) }));
};

const titled = golden.cases.map((each, index) => ({
  title: `${index} ${each.method} ${JSON.stringify(each.shared)} (${each.source})`,
  each,
}));

describe('static merges', () => {
  it('are all compared with another implementation', () => {
    expect(new Set(golden.cases.map(({ method }) => method))).toEqual(
      new Set(STATIC_METHODS.map(({ name }) => name)),
    );
  });

  it.each(titled)('equal the golden of case $title', ({ each }) => {
    for (const { group, result } of mergeCase(each)) {
      const expected = floats(each.merged[group.name]!);
      expect(expected.length).toBe(result.length);
      let farthest = 0;
      let moved = 0;
      for (let i = 0; i < result.length; i++) {
        farthest = Math.max(farthest, Math.abs(result[i]! - expected[i]!));
        moved = Math.max(moved, Math.abs(expected[i]! - group.base![i]!));
      }
      expect(farthest, `${group.name}, farthest element`).toBeLessThan(TOLERANCE);
      // The golden itself says something, unless it is the end of slerp that is the base.
      if (each.shared['t'] !== 0) expect(moved).toBeGreaterThan(1e-3);
    }
  });
});
