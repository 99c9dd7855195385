import { refuseObstacles, type CompositionTask, type OnProgress, type Recipe } from '@thalamus/composition';
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CompositionMeter } from './composition-meter.js';
import type { CompositionMaker } from './composition-maker.port.js';
import type { FetchParts } from './fetch-parts.js';
import { findComposition, type FoundComposition } from './find-composition.js';
import type { CompositionPlan, PlanComposition } from './plan-composition.js';
import type { RegisterComposition } from './register-composition.js';
import type { Registry } from './registry.port.js';
import { Turns } from './turns.js';

/** How experts are composed. */
export interface ComposeOptions {
  /** Folder for what is being made; emptied at start. */
  readonly workFolder: string;
  readonly threads: number;
  /** Most points of accuracy, of 100, that a parent's task may lose. */
  readonly maxLossPoints: number;
  /** Compositions that may wait while one is made. */
  readonly maxQueue: number;
  /** Version of this program, for the lineage. */
  readonly codeVersion: string;
}

/** Use cases and ports that composing needs. */
export interface ComposeParts {
  readonly registry: Registry;
  readonly fetch: FetchParts;
  readonly plans: PlanComposition;
  readonly maker: CompositionMaker;
  readonly registrar: RegisterComposition;
}

/** What a caller wants besides the recipe. */
export interface ComposeWish {
  /** Makes and checks, but registers nothing. */
  readonly isDryRun: boolean;
  /** Seconds that a new expert lives unless used; 0 means for ever, for what is found as well. */
  readonly timeToLiveS: number;
}

/** Composes experts, one composition at a time. A recipe that has run already is found instead. */
export class ComposeExperts {
  private readonly turns: Turns;
  private readonly meter = new CompositionMeter();

  constructor(
    private readonly parts: ComposeParts,
    private readonly options: ComposeOptions,
  ) {
    this.turns = new Turns(options.maxQueue);
  }

  /** @throws REQUEST_INVALID, EXPERT_NOT_FOUND, COMPOSITION_REFUSED with every obstacle or the failed check, the reason of the signal */
  async run(
    recipe: Recipe,
    wish: ComposeWish,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<FoundComposition> {
    try {
      const found = await this.compose(recipe, wish, onProgress, signal);
      if (wish.timeToLiveS === 0 && !wish.isDryRun) await this.parts.registrar.keep(found, signal);
      this.meter.ended(found.existed ? 'found' : wish.isDryRun ? 'tried' : 'made');
      return found;
    } catch (fault) {
      this.meter.failed(fault);
      throw fault;
    }
  }

  /** Frees what a process that was killed left behind. */
  async start(): Promise<void> {
    await rm(this.options.workFolder, { recursive: true, force: true });
  }

  private async compose(
    recipe: Recipe,
    wish: ComposeWish,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<FoundComposition> {
    onProgress({ stage: 'preflight', done: 0, total: 1 });
    const plan = await this.parts.plans.run(recipe);
    refuseObstacles(plan.obstacles);
    onProgress({ stage: 'preflight', done: 1, total: 1 });
    const known = await findComposition(this.parts.registry, plan.digest);
    if (known) return known;
    return this.turns.take(signal, async () => {
      // The one before may have been the same recipe.
      const meanwhile =
        (await findComposition(this.parts.registry, plan.digest)) ?? (await this.resume(plan, wish, signal));
      return meanwhile ?? this.make(plan, wish, onProgress, signal);
    });
  }

  private async resume(
    plan: CompositionPlan,
    wish: ComposeWish,
    signal: AbortSignal,
  ): Promise<FoundComposition | undefined> {
    const unfinished = await this.parts.registrar.unfinished(plan);
    if (!unfinished || wish.isDryRun) return undefined;
    return { ...(await this.parts.registrar.record(plan, unfinished, signal)), existed: true };
  }

  private async make(
    plan: CompositionPlan,
    wish: ComposeWish,
    onProgress: OnProgress,
    signal: AbortSignal,
  ): Promise<FoundComposition> {
    const folder = join(this.options.workFolder, randomUUID());
    const startedAt = performance.now();
    try {
      await mkdir(folder, { recursive: true });
      const version = await this.parts.registrar.nextVersion(plan.expert);
      const task = await this.task(plan, version, folder, (done, total) => {
        signal.throwIfAborted();
        onProgress({ stage: 'fetch', done, total });
      });
      const made = await this.parts.maker.make(task, onProgress, signal);
      this.meter.made(plan.recipe.method.name, performance.now() - startedAt, made.metrics);
      if (wish.isDryRun) {
        const parents = plan.parents.map((parent) => `${parent.name}@${parent.version}`);
        const { digest: manifestDigest, metrics } = made;
        return {
          expert: plan.expert,
          version,
          manifestDigest,
          recipeDigest: plan.digest,
          parents,
          metrics,
          existed: false,
        };
      }
      onProgress({ stage: 'register', done: 0, total: 1 });
      const registration = { plan, version, folder: task.outputFolder, made, timeToLiveS: wish.timeToLiveS };
      const composition = await this.parts.registrar.run(registration, signal);
      onProgress({ stage: 'register', done: 1, total: 1 });
      return composition;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  private async task(
    plan: CompositionPlan,
    version: string,
    folder: string,
    onStep: (done: number, total: number) => void,
  ): Promise<CompositionTask> {
    const { base, parents } = await this.parts.fetch.run(plan, folder, onStep);
    const { recipe } = plan;
    return {
      document: recipe.document,
      seed: recipe.seed,
      recipe: plan.canonical,
      prompts: recipe.prompts,
      parents,
      base,
      result: {
        name: plan.expert,
        version,
        codeVersion: this.options.codeVersion,
      },
      outputFolder: join(folder, 'bundle'),
      threads: this.options.threads,
      maxLossPoints: this.options.maxLossPoints,
    };
  }
}
