import { parseDigest, type ArtifactStore } from '@thalamus/bundle';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { registryV1 } from '@thalamus/contracts';
import type { InferenceRuntime } from '@thalamus/inference';
import type { RegistryView } from '@thalamus/registry';
import { collectGarbageSoon } from '@thalamus/lifecycle';
import { createLogger } from '@thalamus/telemetry';
import { LoadedRouterModel, type RouterModelOptions } from './loaded-router-model.js';
import { SharedEncoders } from './shared-encoders.js';

/** The active router model of each task, swapped when the registry names another: loaded and warm first, then used. */
export class RouterModels {
  readonly name = 'router models';
  private readonly loaded = new Map<string, LoadedRouterModel>();
  private readonly failures = new Map<string, string>();
  private work: Promise<void> = Promise.resolve();
  private stopFollowing: (() => void) | undefined;
  private retry: NodeJS.Timeout | undefined;
  private closed = false;
  private readonly encoders: SharedEncoders;
  private readonly logger = createLogger('router-models');

  constructor(
    private readonly view: RegistryView,
    private readonly store: ArtifactStore,
    private readonly runtime: InferenceRuntime,
    private readonly options: RouterModelOptions & {
      /** Wait before a model that could not be loaded is tried again. */ readonly retryMs: number;
    },
  ) {
    this.encoders = new SharedEncoders(store, runtime, options);
  }

  async start(): Promise<void> {
    this.stopFollowing = this.view.onChange((key) => {
      if (key.startsWith('router-model/')) this.schedule();
    });
    this.schedule();
    await this.work;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.stopFollowing?.();
    clearTimeout(this.retry);
    await this.work;
    await this.runtime.close();
  }

  /**
   * A registered model that cannot be loaded makes the service not ready, unless an earlier model still decides for its
   * task; having none does not: there may be none yet.
   */
  readiness(): { ready: boolean; reason?: string } {
    const [task, reason] = [...this.failures].find(([failed]) => !this.loaded.has(failed)) ?? [];
    return task === undefined
      ? { ready: true }
      : { ready: false, reason: `the router model for ${task} cannot be loaded: ${reason ?? ''}` };
  }

  all(): LoadedRouterModel[] {
    return [...this.loaded.values()];
  }

  /** The model that decides for a task. @throws ROUTER_MODEL_NOT_FOUND */
  forTask(task: string): LoadedRouterModel {
    const model = this.loaded.get(task);
    if (model) return model;
    const tasks = [...this.loaded.keys()].join(', ') || 'none';
    throw new ThalamusError(
      'ROUTER_MODEL_NOT_FOUND',
      `No router model decides for "${task}" (tasks with one: ${tasks}); name an expert, or register a router model.`,
    );
  }

  private schedule(): void {
    this.work = this.work.then(() => this.reconcile());
  }

  private async reconcile(): Promise<void> {
    const wanted = new Map(
      this.view
        .routerModels()
        .filter(({ active }) => active)
        .map((model) => [model.task, model]),
    );
    for (const [task, model] of wanted) await this.load(task, model);
    for (const task of this.failures.keys()) if (!wanted.has(task)) this.failures.delete(task);
    clearTimeout(this.retry);
    if (this.failures.size > 0 && !this.closed)
      this.retry = setTimeout(() => {
        this.schedule();
      }, this.options.retryMs).unref();
    for (const [task, model] of this.loaded) {
      if (wanted.has(task)) continue;
      this.loaded.delete(task);
      await this.retire(model);
    }
  }

  private async load(task: string, model: registryV1.RouterModel): Promise<void> {
    const current = this.loaded.get(task);
    if (this.closed) return;
    if (current?.digest === model.manifestDigest) {
      this.failures.delete(task);
      return;
    }
    const named = { task, name: model.name, version: model.version };
    try {
      const digest = parseDigest(model.manifestDigest);
      const next = await LoadedRouterModel.open(digest, this.store, this.encoders, this.options);
      this.loaded.set(task, next);
      this.failures.delete(task);
      this.logger.info(named, 'router model ready');
      collectGarbageSoon();
      if (current) await this.retire(current);
    } catch (fault) {
      const error = toThalamusError(fault);
      this.failures.set(task, error.message);
      this.logger.error(
        { ...named, code: error.code, reason: error.message, error: error.cause },
        'router model could not be loaded',
      );
    }
  }

  private async retire(model: LoadedRouterModel): Promise<void> {
    await model.release().catch((error: unknown) => {
      this.logger.warn({ error }, 'router model did not end cleanly');
    });
  }
}
