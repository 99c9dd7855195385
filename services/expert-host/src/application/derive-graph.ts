import { openBundle, sha256Hex } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  addGatheredBranches,
  buildGatheredMaskedLmHead,
  decodeModel,
  encodeModel,
  type OnnxModel,
} from '@thalamus/onnx-graph';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DerivedFacts, Derivation, DerivingTask, WrittenGraph } from './graph-deriver.port.js';
import { MODEL_FILE } from './inspect-bundle.js';

/**
 * Version of what is derived. It is in the names of the files, so that a release that derives otherwise derives anew, beside one
 * that still runs: raise it with every change of what is written.
 */
export const DERIVATION_VERSION = 1;

const MAKERS: {
  readonly [K in Derivation]: (base: OnnxModel) => DerivedFacts[K] & { readonly model: OnnxModel };
} = { branches: addGatheredBranches, 'masked-lm-heads': buildGatheredMaskedLmHead };

/**
 * Derives a graph from that of a base and writes it to a file that nobody reads yet. Takes several times the size of the base.
 * @throws GRAPH_INVALID for a base that is no encoder of the zoo's form, BUNDLE_INVALID, ARTIFACT_STORE_FULL
 */
export async function deriveGraph({ what, bundleFolder, path }: DerivingTask): Promise<WrittenGraph> {
  const bundle = await openBundle(bundleFolder);
  const { model, ...facts } = MAKERS[what](decodeModel(await bundle.readFile(MODEL_FILE)));
  const bytes = encodeModel(model);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  } catch (cause) {
    throw unwritable(path, cause);
  }
  return { facts, sizeBytes: bytes.byteLength, sha256: sha256Hex(bytes) };
}

/** The error for a file of a derived graph that cannot be written. */
export function unwritable(path: string, cause: unknown): ThalamusError {
  return new ThalamusError('ARTIFACT_STORE_FULL', `${path} could not be written; make space for it.`, {
    cause,
  });
}
