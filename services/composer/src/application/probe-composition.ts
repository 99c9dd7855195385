import type { ProbeTask, QualityEstimate } from '@thalamus/composition';
import { ThalamusError } from '@thalamus/errors';
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FetchParts } from './fetch-parts.js';
import type { CompositionPlan } from './plan-composition.js';
import { Turns } from './turns.js';

/** Estimates what the tasks of a recipe would keep. */
export interface QualityProber {
  /**
   * The best estimate that was told before the deadline; undefined when there was none.
   * @throws as the composing process, the reason of the signal
   */
  probe(task: ProbeTask, deadlineMs: number, signal: AbortSignal): Promise<QualityEstimate | undefined>;
}

/** How a probe is bounded. */
export interface ProbeOptions {
  /** Folder for the rows that are fetched. */
  readonly workFolder: string;
  readonly threads: number;
  /** Most rows of each task. */
  readonly probeRows: number;
  /** Milliseconds until the best estimate so far stands, fetching and waiting included. */
  readonly probeMs: number;
  /** Probes that may wait while one runs. */
  readonly maxQueue: number;
}

/** An estimate, or why there is none. */
export type ProbedQuality = { readonly tookMs: number } & (
  { readonly estimate: QualityEstimate } | { readonly absent: string }
);

/** Fetches the parents of a plan and probes a few rows of their tasks, one plan at a time. Never a reason for a preflight to fail. */
export class ProbeComposition {
  private readonly turns: Turns;

  constructor(
    private readonly fetch: FetchParts,
    private readonly prober: QualityProber,
    private readonly options: ProbeOptions,
  ) {
    this.turns = new Turns(options.maxQueue);
  }

  /** @throws the reason of the signal, and what is nobody's fault but this program's */
  async run(plan: CompositionPlan, signal: AbortSignal): Promise<ProbedQuality> {
    const startedAt = performance.now();
    const tookMs = () => Math.round(performance.now() - startedAt);
    if (plan.obstacles.length > 0) return { absent: 'These experts cannot be composed.', tookMs: 0 };
    const deadline = AbortSignal.timeout(this.options.probeMs);
    const ends = AbortSignal.any([signal, deadline]);
    try {
      const estimate = await this.turns.take(ends, () =>
        this.probed(plan, this.options.probeMs - tookMs(), ends, signal),
      );
      return estimate ? { estimate, tookMs: tookMs() } : { absent: this.tooLong(), tookMs: tookMs() };
    } catch (fault) {
      signal.throwIfAborted();
      if (deadline.aborted) return { absent: this.tooLong(), tookMs: tookMs() };
      if (!ThalamusError.is(fault)) throw fault;
      return { absent: fault.message, tookMs: tookMs() };
    }
  }

  private async probed(
    plan: CompositionPlan,
    leftMs: number,
    ends: AbortSignal,
    signal: AbortSignal,
  ): Promise<QualityEstimate | undefined> {
    const { workFolder, threads, probeRows } = this.options;
    const folder = join(workFolder, `probe-${randomUUID()}`);
    const startedAt = performance.now();
    try {
      await mkdir(folder, { recursive: true });
      const { base, parents } = await this.fetch.run(plan, folder, () => {
        ends.throwIfAborted();
      });
      const { document, seed, prompts } = plan.recipe;
      const task = { document, seed, prompts, base, parents, threads, rows: probeRows };
      return await this.prober.probe(task, leftMs - (performance.now() - startedAt), signal);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  private tooLong(): string {
    return `The probe took longer than ${this.options.probeMs} ms, which THALAMUS_PROBE_MS allows.`;
  }
}
