import type { MessageInitShape } from '@bufbuild/protobuf';
import { parseDigest } from '@thalamus/bundle';
import type { composerV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { CallContext, ServiceImplementation } from '@thalamus/grpc';
import { COMPOSITION_METHODS } from '@thalamus/model-merge';
import { describeMethod } from './describe-method.js';
import { describeQuality } from './describe-quality.js';
import type { Registry } from '../../application/registry.port.js';
import type { ComposeExperts } from '../../application/compose-experts.js';
import { findComposition, type FoundComposition } from '../../application/find-composition.js';
import type { PlanComposition } from '../../application/plan-composition.js';
import type { ProbeComposition } from '../../application/probe-composition.js';
import { parseRecipe } from '../../domain/recipe.js';
import { ProgressChannel } from './progress-channel.js';

type ComposeAnswer = MessageInitShape<typeof composerV1.ComposeResponseSchema>;

/** What the composer service calls. */
export interface ComposerUseCases {
  readonly registry: Registry;
  readonly plans: PlanComposition;
  readonly compose: ComposeExperts;
  readonly probes: ProbeComposition;
}

/** thalamus.composer.v1: decodes, calls one use case, encodes. */
export class ComposerGrpcService implements ServiceImplementation<typeof composerV1.ComposerService> {
  constructor(private readonly uses: ComposerUseCases) {}

  async preflight({ recipe, estimateQuality }: composerV1.PreflightRequest, context: CallContext) {
    const plan = await this.uses.plans.run(parseRecipe(recipe));
    const found = await findComposition(this.uses.registry, plan.digest);
    return {
      obstacles: plan.obstacles.map((obstacle) => ({ ...obstacle })),
      recipeDigest: plan.digest,
      sizeBytes: BigInt(plan.sizeBytes),
      memoryBytes: BigInt(plan.memoryBytes),
      existing: found ? `${found.expert}@${found.version}` : '',
      gradients: BigInt(plan.gradients),
      ...(estimateQuality
        ? { quality: describeQuality(await this.uses.probes.run(plan, context.signal)) }
        : {}),
    };
  }

  async *compose(
    { recipe, dryRun, timeToLiveS }: composerV1.ComposeRequest,
    context: CallContext,
  ): AsyncIterable<ComposeAnswer> {
    const steps = new ProgressChannel();
    const wish = { isDryRun: dryRun, timeToLiveS: Number(timeToLiveS) };
    const work = this.uses.compose
      .run(parseRecipe(recipe), wish, (progress) => steps.push(progress), context.signal)
      .finally(() => {
        steps.end();
      });
    work.catch(() => undefined);
    for await (const { stage, done, total } of steps)
      yield { event: { case: 'progress', value: { stage, done: BigInt(done), total: BigInt(total) } } };
    yield { event: { case: 'composition', value: message(await work) } };
  }

  async getComposition({ recipeDigest }: composerV1.GetCompositionRequest) {
    const found = await findComposition(this.uses.registry, parseDigest(recipeDigest));
    if (!found)
      throw new ThalamusError(
        'RESOURCE_NOT_FOUND',
        `No composition with the recipe ${recipeDigest} is registered; Compose makes it.`,
      );
    return { composition: message(found) };
  }

  listMethods() {
    const methods = COMPOSITION_METHODS.map(describeMethod);
    return Promise.resolve({ methods });
  }
}

function message(found: FoundComposition): MessageInitShape<typeof composerV1.CompositionSchema> {
  return { ...found, parents: [...found.parents], metrics: { ...found.metrics } };
}
