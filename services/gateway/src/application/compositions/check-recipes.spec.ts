import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { CheckRecipes } from './check-recipes.js';
import type { CheckedRecipe, Composer } from './composer.port.js';

const REMEMBER_MS = 10_000;

function setUp() {
  const clock = { now: 0 };
  const checks: PromiseWithResolvers<CheckedRecipe>[] = [];
  const composer: Composer = {
    preflight: () => {
      const check = Promise.withResolvers<CheckedRecipe>();
      checks.push(check);
      return check.promise;
    },
    compose: () => Promise.reject(new Error('nothing is made here')),
  };
  const recipes = new CheckRecipes(composer, REMEMBER_MS, () => clock.now);
  return { clock, checks, recipes, ask: (key = 'a+b') => recipes.digest(key, [], 'acme') };
}

const DIGEST = { recipeDigest: 'sha256:1', obstacles: [] };

describe('CheckRecipes', () => {
  it('asks once for all who ask at a time, and never again for what it knows', async () => {
    const { checks, ask } = setUp();
    const asking = [ask(), ask(), ask()];
    expect(checks).toHaveLength(1);
    checks[0]?.resolve(DIGEST);
    expect(await Promise.all(asking)).toEqual(['sha256:1', 'sha256:1', 'sha256:1']);
    expect(await ask()).toBe('sha256:1');
    expect(checks).toHaveLength(1);
  });

  it('takes over what a build says', async () => {
    const { checks, recipes, ask } = setUp();
    recipes.learn('a+b', 'sha256:2');
    expect(await ask()).toBe('sha256:2');
    expect(checks).toHaveLength(0);
  });

  it('names every obstacle, and remembers a refusal for a while', async () => {
    const { clock, checks, ask } = setUp();
    const refused = ask();
    checks[0]?.resolve({
      ...DIGEST,
      obstacles: [
        { kind: 'base', parent: 'a@1', description: 'stands on another base.' },
        { kind: 'licence', parent: '', description: 'have licences that exclude one another.' },
      ],
    });
    await expect(refused).rejects.toMatchObject({
      code: 'COMPOSITION_REFUSED',
      message:
        'These experts cannot be composed: a@1 stands on another base. the parents have licences that exclude one another.',
      violations: [{ field: 'model' }, { field: 'model' }],
    });
    clock.now = REMEMBER_MS - 1;
    await expect(ask()).rejects.toMatchObject({ code: 'COMPOSITION_REFUSED' });
    expect(checks).toHaveLength(1);
    clock.now = REMEMBER_MS;
    const again = ask();
    checks[1]?.resolve(DIGEST);
    expect(await again).toBe('sha256:1');
  });

  it('leaves a composer alone for a second that is away', async () => {
    const { clock, checks, ask } = setUp();
    const failed = ask();
    checks[0]?.reject(new ThalamusError('UPSTREAM_UNAVAILABLE', 'away'));
    await expect(failed).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    clock.now = 999;
    await expect(ask()).rejects.toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    expect(checks).toHaveLength(1);
    clock.now = 1_000;
    void ask();
    expect(checks).toHaveLength(2);
  });

  it('has a bound on checks at once', async () => {
    const { checks, ask } = setUp();
    for (let index = 0; index < 64; index++) void ask(String(index));
    await expect(ask('one more')).rejects.toMatchObject({ code: 'EXPERT_OVERLOADED' });
    expect(checks).toHaveLength(64);
  });
});
