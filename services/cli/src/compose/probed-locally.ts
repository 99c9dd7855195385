import { ProcessCompositionMaker } from '@thalamus/composition';
import { toThalamusError } from '@thalamus/errors';
import { availableParallelism } from 'node:os';
import { EXIT } from '../exit-codes.js';
import { onInterrupt } from '../interruption.js';
import type { LocalPlan } from './local-plan.js';
import type { ProbedQuality } from './quality-lines.js';

/** Estimates what the tasks of a plan would keep, in a process of its own; why there is no estimate is an answer, not a fault. */
export async function probedLocally(
  { recipe, parents, base }: LocalPlan,
  { rows, seconds }: { readonly rows: number; readonly seconds: number },
): Promise<ProbedQuality> {
  const deadlineMs = 1_000 * seconds;
  const startedAt = performance.now();
  const maker = new ProcessCompositionMaker({ stallMs: deadlineMs + 1_000 });
  const stop = new AbortController();
  const release = onInterrupt(() => {
    process.exitCode = EXIT.interrupted;
    stop.abort();
  });
  const tookMs = () => Math.round(performance.now() - startedAt);
  try {
    const task = {
      document: recipe.document,
      seed: recipe.seed,
      prompts: recipe.prompts,
      base: { digest: base.digest, folder: base.folder },
      parents: parents.map(({ name, version, digest, folder, train, test }) => ({
        name,
        version,
        digest,
        folder,
        train,
        test,
      })),
      threads: Math.min(4, availableParallelism()),
      rows,
    };
    const estimate = await maker.probe(task, deadlineMs, stop.signal);
    if (estimate) return { ...estimate, tookMs: tookMs() };
    const absent = `The probe took longer than ${seconds} s; allow more with --probe-seconds.`;
    return { absent, tookMs: tookMs() };
  } catch (fault) {
    const absent = stop.signal.aborted ? 'The probe was interrupted.' : toThalamusError(fault).message;
    return { absent, tookMs: tookMs() };
  } finally {
    await maker.close();
    release();
  }
}
