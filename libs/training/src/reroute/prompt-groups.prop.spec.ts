import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { groupFolds, promptGroup } from './prompt-groups.js';

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);

describe('near-duplicates', () => {
  it('are one group whatever their case, spaces and signs, and another with another word', () => {
    const spaced = fc.array(word, { minLength: 1, maxLength: 8 }).chain((words) =>
      fc.tuple(
        fc.constant(words),
        fc.array(fc.constantFrom(' ', '  ', ', ', '\n', ' - ', '? '), {
          minLength: words.length,
          maxLength: words.length,
        }),
      ),
    );
    fc.assert(
      fc.property(spaced, word, ([words, gaps], more) => {
        const plain = words.join(' ');
        const other = words.map((own, at) => `${at % 2 ? own : own.toUpperCase()}${gaps[at]!}`).join('');
        expect(promptGroup(other)).toBe(promptGroup(plain));
        expect(promptGroup(`${plain} ${more}`)).not.toBe(promptGroup(plain));
      }),
    );
  });

  it('of signs alone are told apart, and letters of any script count', () => {
    expect(promptGroup('???')).not.toBe(promptGroup('!!!'));
    expect(promptGroup('Ist 7 größer?')).toBe(promptGroup('ist 7 GRÖSSER'.replace('SS', 'ß')));
    expect(promptGroup('素数ですか')).not.toBe(promptGroup('合成数ですか'));
    expect(promptGroup('Is 17077 prime?')).not.toBe(promptGroup('Is 17078 prime?'));
  });
});

describe('folds', () => {
  it('never split a group, are even up to the largest group, and stay the same for a seed', () => {
    const groups = fc.array(fc.integer({ min: 0, max: 30 }).map(String), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(groups, fc.integer({ min: 2, max: 6 }), fc.nat(1000), (own, folds, seed) => {
        const foldOf = groupFolds(own, folds, seed);
        const byGroup = new Map<string, number>();
        const counts = new Map<string, number>();
        const sizes = new Array<number>(folds).fill(0);
        own.forEach((group, row) => {
          expect(byGroup.get(group) ?? foldOf[row]).toBe(foldOf[row]);
          byGroup.set(group, foldOf[row]!);
          counts.set(group, (counts.get(group) ?? 0) + 1);
          sizes[foldOf[row]!]! += 1;
        });
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(Math.max(...counts.values()));
        expect(groupFolds(own, folds, seed)).toEqual(foldOf);
      }),
    );
  });
});
