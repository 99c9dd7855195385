import { composerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient } from '@thalamus/grpc';
import cliProgress from 'cli-progress';
import { Command } from 'commander';
import { meshCommand, outputOf, wholeNumber, type CommonOptions } from '../mesh-command.js';
import { serviceAddress } from '../registry-client.js';

interface Options extends CommonOptions {
  readonly method: string;
  readonly name?: string;
  readonly seed: number;
  readonly dryRun: boolean;
}

/** `thalamus compose run`: makes one expert of several. */
export function composeCommand(): Command {
  const command = new Command('compose').description('fuse experts into one');
  command.addCommand(
    meshCommand('run', 'fuse experts into one self-contained expert and register it')
      .argument('<parents...>', 'experts, or expert@version; two or more')
      .option('--method <method>', 'merge method', 'twin')
      .option('--name <name>', 'name of the result; default: from the recipe')
      .option('--seed <seed>', 'seed of what is random', wholeNumber(0, 2_147_483_647), 0)
      .option('--dry-run', 'say what would happen, change nothing', false)
      .action(run),
  );
  return command;
}

async function run(parents: readonly string[], options: Options): Promise<void> {
  if (parents.length < 2)
    throw new ThalamusError(
      'CONFIG_INVALID',
      'Name two or more experts; "thalamus experts list" shows them.',
    );
  const client = createClient(composerV1.ComposerService, {
    address: serviceAddress(options, 'composer'),
    defaultDeadlineMs: 600_000,
  });
  const recipe = {
    method: options.method,
    parents: parents.map(parent),
    name: options.name ?? '',
    seed: BigInt(options.seed),
  };
  try {
    if (options.dryRun) {
      const preflight = await client.preflight({ recipe });
      outputOf(options).answer(preflight, () => describe(preflight));
      return;
    }
    const bar = progressBar(options.json);
    let made: composerV1.Composition | undefined;
    for await (const { event } of client.compose({ recipe })) {
      if (event.case === 'progress') bar.step(event.value);
      else if (event.case === 'composition') made = event.value;
    }
    bar.end();
    if (!made) throw new ThalamusError('UPSTREAM_ERROR', 'The composer ended without a result.');
    const result = made;
    const { expert, version, manifestDigest, recipeDigest, metrics, existed } = result;
    outputOf(options).answer(
      { expert, version, manifestDigest, recipeDigest, parents: result.parents, metrics, existed },
      () => [
        `${expert}@${version}${existed ? ' existed already' : ' is registered'}: ${result.parents.join(' + ')}`,
        ...Object.entries(metrics).map(([name, value]) => `  ${name}  ${Number(value.toPrecision(4))}`),
        '',
        `  npx thalamus ask "..." --model ${expert}`,
      ],
    );
  } finally {
    client.close();
  }
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

function progressBar(json: boolean) {
  if (json || !process.stderr.isTTY) return { step: () => undefined, end: () => undefined };
  const bar = new cliProgress.SingleBar({
    format: '  {bar} {stage} {value}/{total}',
    stream: process.stderr,
    hideCursor: true,
  });
  let running = false;
  return {
    step: ({ stage, done, total }: composerV1.ComposeProgress) => {
      if (!running) bar.start(Number(total) || 1, 0, { stage });
      running = true;
      bar.setTotal(Number(total) || 1);
      bar.update(Number(done), { stage });
    },
    end: () => {
      bar.stop();
    },
  };
}
