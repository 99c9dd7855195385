import type { BundleFiles, CompositionReport, ExpertManifest } from '@thalamus/bundle';
import { chooseRanks, FACTOR_BYTES, type ExclusiveVectors, type Spectrum } from '@thalamus/model-merge';
import type { Mixture } from '@thalamus/onnx-graph';
import type { CompositionTask } from './composition-task.js';
import type { MadeParts } from './describe-composition.js';
import { normalizedOf, taskFigures, type ParentQuality } from './quality.js';

/** What ranks cost and keep. */
export type RankLadder = Pick<CompositionReport, 'ranks' | 'chosen'>;

/** Shares of the full rank that are looked at. */
const FRACTIONS = [0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5];

/** What was measured while an expert was composed; `files` are those of its bundle. */
export function reportComposition(
  { document, parents }: Pick<CompositionTask, 'document' | 'parents'>,
  base: ExpertManifest,
  { quality, ladder, abstainBelow }: MadeParts,
  files: BundleFiles,
): CompositionReport {
  const judged = quality.parents.filter(({ n }) => n > 0);
  const bytesOf = (file: BundleFiles[string]) => Buffer.byteLength(file);
  return {
    schemaVersion: 1,
    method: document.method,
    protocol: 'honest',
    parents: quality.parents.map((parent) => {
      const { name, n } = parent;
      const { version, digest } = parents.find((own) => own.name === name)!;
      return { name, version, digest, n, ...judgedFigures(parent) };
    }),
    normalized: normalizedOf(judged) ?? null,
    routerAccuracy:
      judged.length === 0
        ? null
        : judged.reduce((sum, parent) => sum + taskFigures(parent).routed, 0) / judged.length,
    routerValidationAccuracy: quality.routerValidation.n === 0 ? null : quality.routerValidation.accuracy,
    bytes: Object.values(files).reduce((sum, file) => sum + bytesOf(file), 0),
    parentBytes: 4 * base.parameterCount * quality.parents.length,
    ...ladder,
    abstainBelow,
  };
}

type JudgedFigures = Omit<CompositionReport['parents'][number], 'name' | 'version' | 'digest' | 'n'>;

/** Figures of a parent; null where it was judged on nothing. */
function judgedFigures(parent: ParentQuality): JudgedFigures {
  const isMasked = 'nats' in parent;
  if (parent.n === 0)
    return {
      parentAccuracy: null,
      accuracy: null,
      ...(isMasked ? { parentNats: null, nats: null } : {}),
      normalized: null,
      routedHere: null,
    };
  const { alone, composed, normalized = null, routed } = taskFigures(parent);
  return isMasked
    ? {
        parentAccuracy: null,
        accuracy: null,
        parentNats: alone,
        nats: composed,
        normalized,
        routedHere: routed,
      }
    : { parentAccuracy: alone, accuracy: composed, normalized, routedHere: routed };
}

/** Bytes and energy at shares of the full rank, as far as singular values were computed, and of what was chosen. */
export function rankLadder({ spectra }: ExclusiveVectors, mixture: Mixture): RankLadder {
  const computed = (fraction: number) =>
    [...spectra.values()].flat().every(({ rows, columns, s, energy }) => {
      const rank = Math.max(1, Math.floor(fraction * Math.min(rows, columns)));
      return energy === 0 || s.length >= rank;
    });
  const ranks = FRACTIONS.filter(computed).map((fraction) => ({
    fraction,
    ...sizeOf(spectra, chooseRanks(spectra, { kind: 'fraction', fraction })),
  }));
  const chosen = new Map([...mixture.matrices].map(([name, all]) => [name, all.map(({ rank }) => rank)]));
  return { ranks, chosen: sizeOf(spectra, chosen) };
}

function sizeOf(
  spectra: ReadonlyMap<string, readonly Spectrum[]>,
  ranks: ReadonlyMap<string, readonly number[]>,
): { readonly bytes: number; readonly energy: number } {
  let [bytes, kept, all] = [0, 0, 0];
  for (const [name, own] of spectra)
    own.forEach(({ rows, columns, s, energy }, parent) => {
      const rank = ranks.get(name)?.[parent] ?? 0;
      bytes += FACTOR_BYTES * rank * (rows + columns);
      all += energy;
      for (let k = 0; k < rank; k++) kept += s[k]! ** 2;
    });
  // Sums in another order may differ by a rounding.
  return { bytes, energy: all === 0 ? 1 : Math.min(1, kept / all) };
}
