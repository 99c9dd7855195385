import type { GatewayUnderTest } from './gateway-under-test.js';
import type { composerV1 } from '@thalamus/contracts';

type Recipe = composerV1.Recipe | undefined;

/** Name of the composition of parents, as a caller writes it. */
export const nameOf = (recipe: Recipe) =>
  `compose:${(recipe?.parents ?? []).map(({ expert, version }) => `${expert}@${version}`).join('+')}`;

/** A digest that tells recipes apart. */
export function digestOf(recipe: Recipe): string {
  return `sha256:${Buffer.from(nameOf(recipe)).toString('hex').padEnd(64, '0').slice(-64)}`;
}

/** Has the fake composer check every recipe, and make each when it is let; what it makes is registered and served. */
export class ComposerThatMakes {
  private readonly gates: PromiseWithResolvers<undefined>[] = [];
  private count = 0;

  /** With `isHeld`, builds wait for `release`. */
  constructor(
    private readonly gateway: GatewayUnderTest,
    private readonly options: {
      readonly isHeld?: boolean;
      readonly isServed?: boolean;
      readonly expiresAtMs?: number;
    } = {},
  ) {
    gateway.composer.check = ({ recipe }) => Promise.resolve({ recipeDigest: digestOf(recipe) });
    gateway.composer.make = async ({ recipe }) => {
      if (this.options.isHeld) {
        const gate = Promise.withResolvers<undefined>();
        this.gates.push(gate);
        await gate.promise;
      }
      return this.register(recipe);
    };
  }

  /** Builds that wait for `release`. */
  get waiting(): number {
    return this.gates.length;
  }

  /** Lets every build end that waits now. */
  release(): void {
    for (const gate of this.gates.splice(0)) gate.resolve(undefined);
  }

  /** Registers the composition of a recipe, as the composer and a host would. */
  async register(recipe: Recipe) {
    this.count += 1;
    const task = 'text-classification';
    const expert = `twin-${digestOf(recipe).slice(-12)}-${this.count}`;
    const parents = (recipe?.parents ?? []).map((parent) => `${parent.expert}@${parent.version}`);
    const version = { expert, version: '1', task, parents, licence: 'Apache-2.0', labelCount: 2 };
    const { isServed = true } = this.options;
    await this.gateway.register(`version/${expert}@1`, { case: 'version', value: version }, Date.now());
    await this.gateway.register(`expert/${expert}`, {
      case: 'expert',
      value: { name: expert, task, stable: '1' },
    });
    const recipeDigest = digestOf(recipe);
    await this.gateway.register(`composition/${recipeDigest}`, {
      case: 'composition',
      value: { recipeDigest, expert, version: '1', parents, method: 'twin' },
    });
    if (isServed) await this.gateway.reside(expert, '1');
    return { expert, version: '1', recipeDigest, parents };
  }
}
