import { ThalamusError } from '@thalamus/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCompositionName, type ParentReference } from './composition-name.js';

const NAMES = ['a', 'b', 'banking77', 'clinc150', 'a-b', '0'];
const parent = fc.record({
  expert: fc.constantFrom(...NAMES),
  version: fc.option(fc.integer({ min: 1, max: 1_000_000 }).map(String), { nil: undefined }),
});
const parents = fc.uniqueArray(parent, {
  minLength: 2,
  maxLength: NAMES.length,
  selector: ({ expert }) => expert,
});
const text = (list: readonly ParentReference[]) =>
  `compose:${list.map(({ expert, version }) => (version === undefined ? expert : `${expert}@${version}`)).join('+')}`;

describe('the name of a composition', () => {
  it('means the same in whatever order it is written, and nothing of it is lost', () => {
    fc.assert(
      fc.property(
        parents.chain((list) =>
          fc.shuffledSubarray(list, { minLength: list.length }).map((other) => [list, other]),
        ),
        ([list = [], other = []]) => {
          const read = parseCompositionName(text(list));
          expect(parseCompositionName(text(other))).toEqual(read);
          expect(read.map(({ expert }) => expert)).toEqual(list.map(({ expert }) => expert).sort());
          for (const each of list) expect(read).toContainEqual(each);
        },
      ),
    );
  });

  it('is read or refused with the field, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (rest) => {
        try {
          const read = parseCompositionName(`compose:${rest}`);
          expect(read.length).toBeGreaterThan(1);
        } catch (fault) {
          if (!ThalamusError.is(fault)) throw fault;
          expect(fault).toMatchObject({ code: 'REQUEST_INVALID', violations: [{ field: 'model' }] });
        }
      }),
    );
  });
});
