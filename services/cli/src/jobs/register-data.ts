import { digestOf } from '@thalamus/bundle';
import type { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { readDataset, readTextLines } from '@thalamus/training';
import { readFileSync } from 'node:fs';
import type { MeshOptions } from '../gateway-client.js';
import { isTextFile } from '../training/read-lines.js';
import { AS_CLI, withArtifacts, withRegistry } from '../registry-client.js';

/** What is said of a data file. */
export interface DataFacts {
  /** Name that it is registered under. */
  readonly name: string;
  readonly split: 'train' | 'test';
  /** SPDX identifier. */
  readonly licence: string;
  readonly origin: string;
  readonly ignoredColumns: readonly string[];
}

const RACES = 5;

/**
 * Checks a CSV file, or a JSONL file of texts, stores it and registers it as a data set. The same bytes are registered once.
 * Resolves with name@version. @throws DATASET_INVALID before anything is sent.
 */
export async function registerData(options: MeshOptions, path: string, facts: DataFacts): Promise<string> {
  const bytes = readData(path);
  const count = isTextFile(path) ? readTextLines(bytes, path).length : countRows(bytes, path, facts);
  return registerRows(options, { bytes, count }, facts);
}

/** Rows that have been checked. */
export interface CheckedRows {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** Stores rows that have been checked and registers them as a data set. The same bytes are registered once. Resolves with name@version. */
export async function registerRows(
  options: MeshOptions,
  { bytes, count }: CheckedRows,
  facts: Omit<DataFacts, 'ignoredColumns'>,
): Promise<string> {
  await withArtifacts(options, (store) => store.put(bytes));
  const digest = digestOf(bytes);
  return withRegistry(options, async (registry) => {
    for (let race = 0; ; race++) {
      const { resources } = await registry.listResources(
        { kind: 'dataset', namePrefix: `${facts.name}@` },
        AS_CLI,
      );
      const known = resources.flatMap(({ value }) => (value.case === 'dataset' ? [value.value] : []));
      const same = known.find((dataset) => dataset.digest === digest && dataset.split === facts.split);
      if (same) return reference(same);
      const version = String(Math.max(0, ...known.map((dataset) => Number(dataset.version))) + 1);
      const { name, split, licence, origin } = facts;
      const dataset = { name, version, digest, licence, origin, split, rows: BigInt(count) };
      try {
        await registry.registerDataset({ dataset }, AS_CLI);
        return reference(dataset);
      } catch (fault) {
        // Somebody else took the version meanwhile.
        if (!ThalamusError.is(fault) || fault.code !== 'REVISION_CONFLICT' || race >= RACES) throw fault;
      }
    }
  });
}

/** Labelled rows of a CSV file, checked. @throws DATASET_INVALID */
function countRows(bytes: Uint8Array, path: string, { split, ignoredColumns }: DataFacts): number {
  const rows = readDataset(bytes, path, { ignoredColumns });
  if (split === 'train' && new Set(rows.map(({ label }) => label)).size < 2)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${path}: every row has the same label; a classifier needs at least two labels.`,
    );
  return rows.length;
}

function reference({ name, version }: Pick<registryV1.Dataset, 'name' | 'version'>): string {
  return `${name}@${version}`;
}

function readData(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new ThalamusError(
      'DATASET_INVALID',
      `The file ${path} cannot be read; name a CSV file, or a JSONL file of texts.`,
      {
        cause,
      },
    );
  }
}
