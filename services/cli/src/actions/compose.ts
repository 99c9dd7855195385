import type { MessageInitShape } from '@bufbuild/protobuf';
import { composerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RpcClient } from '@thalamus/grpc';
import { EXIT } from '../exit-codes.js';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { progressBar } from '../progress-bar.js';
import { withService } from '../registry-client.js';

const COMPOSER = { name: 'composer', service: composerV1.ComposerService, deadlineMs: 600_000 };

/** Options of `compose run`. */
export interface ComposeOptions extends CommonOptions {
  readonly method: string;
  readonly name?: string;
  readonly seed: number;
  readonly dryRun: boolean;
}

/** Makes one expert of several, or only says what would happen. @throws COMPOSITION_REFUSED, EXPERT_NOT_FOUND */
export async function run(parents: readonly string[], options: ComposeOptions): Promise<void> {
  if (parents.length < 2)
    throw new ThalamusError(
      'CONFIG_INVALID',
      'Name two or more experts; "thalamus experts list" shows them.',
    );
  const recipe = {
    method: options.method,
    parents: parents.map(parent),
    name: options.name ?? '',
    seed: BigInt(options.seed),
  };
  await withService(options, COMPOSER, (composer) =>
    options.dryRun ? preflight(composer, recipe, options) : compose(composer, recipe, options),
  );
}

type Composer = RpcClient<typeof composerV1.ComposerService>;
type Recipe = MessageInitShape<typeof composerV1.RecipeSchema>;

async function preflight(composer: Composer, recipe: Recipe, options: ComposeOptions): Promise<void> {
  const answer = await composer.preflight({ recipe });
  outputOf(options).answer(answer, () => describe(answer));
  if (answer.obstacles.length > 0) process.exitCode = EXIT.negative;
}

async function compose(composer: Composer, recipe: Recipe, options: ComposeOptions): Promise<void> {
  const bar = await progressBar(options.json);
  let made: composerV1.Composition | undefined;
  try {
    for await (const { event } of composer.compose({ recipe })) {
      if (event.case === 'progress') bar.step(event.value);
      else if (event.case === 'composition') made = event.value;
    }
  } finally {
    bar.end();
  }
  if (!made) throw new ThalamusError('UPSTREAM_ERROR', 'The composer ended without a result.');
  const { expert, version, manifestDigest, recipeDigest, parents, metrics, existed } = made;
  outputOf(options).answer(
    { expert, version, manifestDigest, recipeDigest, parents, metrics, existed },
    () => [
      `${expert}@${version}${existed ? ' existed already' : ' is registered'}: ${parents.join(' + ')}`,
      ...Object.entries(metrics).map(([name, value]) => `  ${name}  ${Number(value.toPrecision(4))}`),
      '',
      `  npx thalamus ask "..." --model ${expert}`,
    ],
  );
}

/** `name` or `name@version`. */
function parent(text: string) {
  const [expert = '', version = ''] = text.split('@');
  return { expert, version };
}

function describe(preflight: composerV1.PreflightResponse): string[] {
  if (preflight.obstacles.length > 0)
    return preflight.obstacles.map(({ kind, parent, description }) => `${kind} ${parent}: ${description}`);
  const size = `${(Number(preflight.sizeBytes) / 2 ** 20).toFixed(1)} MiB`;
  const existing = preflight.existing === '' ? '' : `; it exists as ${preflight.existing}`;
  return [`can be composed: ${preflight.recipeDigest}, about ${size}${existing}`];
}
