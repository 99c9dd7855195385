import type { MessageInitShape } from '@bufbuild/protobuf';
import { composerV1, inference, RPC_METADATA, type registryV1 } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { preflightAnswer, type ProbedQuality } from '../compose/preflight-answer.js';
import { compositionProgress } from '../compose/progress-view.js';
import { recipeOf, type RecipeWords } from '../compose/recipe-words.js';
import { keyOf, runningMesh, type MeshOptions } from '../gateway-client.js';
import { createOutput, table } from '../output.js';
import { withRegistry, withService } from '../registry-client.js';

const COMPOSER = { name: 'composer', service: composerV1.ComposerService, deadlineMs: 30_000 };
/** A composition of many parents on a busy machine takes minutes. */
const COMPOSE_DEADLINE_MS = 3_600_000;
/** A probe has a deadline of its own, a setting of the composer. */
const PREFLIGHT_DEADLINE_MS = 600_000;
/** How long to wait until a host has loaded the result, milliseconds. */
const READY_MS = 30_000;
const POLL_MS = 100;

/** Options that make a recipe. */
export interface RecipeOptions extends RecipeWords {
  readonly json: boolean;
  /** Data folder of the mesh. */
  readonly mesh: string;
}

/** Options of `compose preflight`. */
export interface PreflightOptions extends RecipeOptions {
  /** Whether quality is estimated. */
  readonly probe: boolean;
}

/** Options of `compose run`. */
export interface ComposeOptions extends RecipeOptions {
  readonly dryRun: boolean;
  readonly ttl: number;
}

/** Makes one expert of several, registers it and waits until it answers. @throws COMPOSITION_REFUSED, EXPERT_NOT_FOUND */
export async function run(given: readonly string[], options: ComposeOptions): Promise<void> {
  const request = {
    recipe: recipeOf(given, options),
    dryRun: options.dryRun,
    timeToLiveS: BigInt(options.ttl),
  };
  const made = await withService(meshOf(options), COMPOSER, (composer) =>
    compose(composer, request, options.json),
  );
  const { expert, version, manifestDigest, recipeDigest, metrics, existed } = made;
  const state = options.dryRun && !existed ? 'not registered' : await stateOf(made, meshOf(options));
  createOutput(options.json).answer(
    { expert, version, manifestDigest, recipeDigest, parents: made.parents, metrics, existed, state },
    () => [
      `${expert}@${version} ${existed ? 'existed already' : state === 'not registered' ? 'would be made' : 'is registered'}: ${made.parents.join(' + ')}`,
      ...table(
        Object.entries(metrics).map(([name, value]) => [`  ${name}`, String(Number(value.toPrecision(4)))]),
      ),
      ...losers(metrics),
      ...next(made, state),
    ],
  );
}

/** Share of right answers, or of the normalised score, that a parent may lose before it is worth a word. */
const WORTH_A_WORD = 0.02;
const LOSS = 'accuracy_loss/';
const SCORE_LOSS = 'score_loss/';

/** Parents whose task the composition does clearly worse at than they do alone. */
function losers(metrics: Readonly<Record<string, number>>): string[] {
  return Object.entries(metrics).flatMap(([figure, lost]) => {
    const [prefix, name = ''] = figure.split(/(?<=\/)/);
    if (lost <= WORTH_A_WORD || (prefix !== LOSS && prefix !== SCORE_LOSS)) return [];
    const points = (100 * lost).toFixed(1);
    return prefix === LOSS
      ? `  note: on the task of ${name} it is right ${points} points less often than ${name} alone: its router confuses the parents' texts`
      : `  note: on the domain of ${name} its normalised score lacks ${points} points: its router confuses the parents' texts, or the rank is too low`;
  });
}

/** Says whether experts can be composed and what that would cost; exit code 4 when they cannot. */
export async function preflight(given: readonly string[], options: PreflightOptions): Promise<void> {
  const recipe = recipeOf(given, options);
  const answer = await withService(meshOf(options), COMPOSER, (composer) =>
    composer.preflight({ recipe, estimateQuality: options.probe }, { deadlineMs: PREFLIGHT_DEADLINE_MS }),
  );
  const { obstacles, recipeDigest, sizeBytes, memoryBytes, existing, gradients, quality } = answer;
  preflightAnswer(options.json, {
    obstacles,
    recipeDigest,
    sizeBytes: Number(sizeBytes),
    memoryBytes: Number(memoryBytes),
    gradients: Number(gradients),
    existing,
    quality: quality && probedQuality(quality),
  });
}

function probedQuality(quality: composerV1.QualityEstimate): ProbedQuality {
  const { absent, tookMs, tasks, basis, note, normalized, normalizedLow, normalizedHigh } = quality;
  if (absent !== '') return { absent, tookMs: Number(tookMs) };
  return {
    basis,
    note,
    tasks: tasks.map(shownTask),
    normalized,
    normalizedLow,
    normalizedHigh,
    tookMs: Number(tookMs),
  };
}

const shownTask = (task: composerV1.TaskEstimate) => ({
  parent: task.parent,
  rows: task.rows,
  split: task.split,
  alone: task.alone,
  composed: task.composed,
  composedLow: task.composedLow,
  composedHigh: task.composedHigh,
  routed: task.routed,
});

async function compose(
  composer: RpcClient<typeof composerV1.ComposerService>,
  request: MessageInitShape<typeof composerV1.ComposeRequestSchema>,
  json: boolean,
): Promise<composerV1.Composition> {
  const bar = await compositionProgress(json);
  let made: composerV1.Composition | undefined;
  try {
    for await (const { event } of composer.compose(request, { deadlineMs: COMPOSE_DEADLINE_MS })) {
      if (event.case === 'progress') bar.step(event.value);
      else if (event.case === 'composition') made = event.value;
    }
  } finally {
    bar.end();
  }
  if (!made) throw new ThalamusError('UPSTREAM_ERROR', 'The composer ended without a result; see its log.');
  return made;
}

/** Whether the result answers: waits for a host when it is the stable version. */
async function stateOf(
  { expert, version }: composerV1.Composition,
  options: MeshOptions,
): Promise<'ready' | 'loading' | 'not stable'> {
  const { resource } = await withRegistry(options, (registry) =>
    registry.getResource({ key: `expert/${expert}` }),
  );
  const value: registryV1.Resource['value'] | undefined = resource?.value;
  if (value?.case !== 'expert' || value.value.stable !== version) return 'not stable';
  const client = createClient(inference.GRPCInferenceService, {
    address: runningMesh(options).grpc,
    defaultDeadlineMs: 2_000,
  });
  const key = keyOf(options);
  const metadata = key === undefined ? {} : { [RPC_METADATA.authorization]: `Bearer ${key}` };
  try {
    for (const until = Date.now() + READY_MS; Date.now() < until;) {
      if (await isReady(() => client.modelReady({ name: expert, version }, { metadata }))) return 'ready';
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return 'loading';
  } finally {
    client.close();
  }
}

/** The gateway may not have heard of the expert yet. */
async function isReady(ask: () => Promise<{ readonly ready: boolean }>): Promise<boolean> {
  try {
    return (await ask()).ready;
  } catch (fault) {
    const { code } = toThalamusError(fault);
    if (['EXPERT_NOT_FOUND', 'EXPERT_NOT_READY', 'DEADLINE_EXCEEDED', 'UPSTREAM_UNAVAILABLE'].includes(code))
      return false;
    throw fault;
  }
}

function next({ expert, version }: composerV1.Composition, state: string): string[] {
  switch (state) {
    case 'not registered':
      return [];
    case 'not stable':
      return [
        '',
        `It is not the stable version of ${expert}; "thalamus release promote ${expert} ${version}" makes it so.`,
      ];
    case 'loading':
      return ['', `No host has loaded it yet; "thalamus doctor" and the log of the expert host tell more.`];
    default:
      return ['', `  npx thalamus ask "..." --model ${expert}`];
  }
}

/** The mesh that is asked, under the name that the option has here. */
const meshOf = ({ mesh }: RecipeOptions): MeshOptions => ({ data: mesh, dataOption: '--mesh' });
