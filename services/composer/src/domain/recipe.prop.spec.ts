import { canonicalRecipe, expertNameOf, recipeDigest } from '@thalamus/composition';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRecipe } from './recipe.js';

const wish = (parents: readonly { expert: string; version: string; weight: number }[], more = {}) => ({
  method: 'switch',
  parents,
  parameters: {},
  seed: 0n,
  name: '',
  document: '',
  prompts: [],
  ...more,
});
const PARENTS = ['a', 'b', 'c', 'd-1'].map((expert) => ({ expert, version: '1', weight: 0 }));
const ROWS = { train: ['sha256:2', 'sha256:3'], test: ['sha256:4'] };
const pinned = (digest = 'sha256:0', rows = ROWS) =>
  PARENTS.map(({ expert, version }) => ({ name: expert, version, digest: `${digest}-${expert}`, rows }));
const digestOf = (more = {}, digest?: string, rows?: Partial<typeof ROWS>) =>
  recipeDigest(canonicalRecipe(parseRecipe(wish(PARENTS, more)), pinned(digest, { ...ROWS, ...rows })));

describe('recipes', () => {
  it('have one identity whatever the order of parents and parameters', () => {
    const expected = digestOf({ parameters: { router_l2: 0.5, rows_per_parent: 100 } });
    fc.assert(
      fc.property(fc.shuffledSubarray(PARENTS, { minLength: 4 }), fc.boolean(), (parents, swap) => {
        const parameters = swap
          ? { rows_per_parent: 100, router_l2: 0.5 }
          : { router_l2: 0.5, rows_per_parent: 100 };
        const recipe = parseRecipe(wish(parents, { parameters }));
        const found = parents.map(({ expert, version }) => ({
          name: expert,
          version,
          digest: `sha256:0-${expert}`,
          rows: ROWS,
        }));
        expect(recipeDigest(canonicalRecipe(recipe, found))).toBe(expected);
      }),
      { seed: 5, numRuns: 50 },
    );
  });

  it('have another identity when anything that matters differs, and the same when a default is written out', () => {
    const identities = [
      digestOf(),
      digestOf({ seed: 1n }),
      digestOf({ name: 'x' }),
      digestOf({ parameters: { router_l2: 0.5 } }),
      digestOf({}, 'sha256:1'),
      digestOf({}, 'sha256:0', { train: ['sha256:2'] }),
      digestOf({}, 'sha256:0', { test: [] }),
      digestOf({ method: 'twin' }),
      digestOf({ method: 'twin', prompts: ['a', 'b'] }),
      digestOf({ method: 'twin', prompts: ['a', 'c'] }),
    ];
    expect(new Set(identities).size).toBe(identities.length);
    expect(digestOf({ parameters: { router_l2: 0 } })).toBe(digestOf());
    // Rows that the router is not fitted to, since prompts are given, decide nothing.
    const prompted = { method: 'twin', prompts: ['a', 'b'] };
    expect(digestOf(prompted, 'sha256:0', { train: [] })).toBe(digestOf(prompted));
    expect(digestOf(prompted, 'sha256:0', { test: [] })).not.toBe(digestOf(prompted));
    expect(digestOf({ method: 'twin', prompts: ['b', 'a'] })).toBe(
      digestOf({ method: 'twin', prompts: ['a', 'b'] }),
    );
  });

  it('name their expert after themselves unless told otherwise', () => {
    const recipe = parseRecipe(wish(PARENTS));
    expect(expertNameOf(recipe, `sha256:${'ab'.repeat(32)}`)).toBe('switch-abababababab');
    expect(expertNameOf(parseRecipe(wish(PARENTS, { name: 'mine' })), `sha256:${'ab'.repeat(32)}`)).toBe(
      'mine',
    );
  });
});
