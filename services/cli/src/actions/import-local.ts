import { parsePeftAdapter, readPeftFolder, writeBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { importedBundle } from '@thalamus/training';
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createOutput } from '../output.js';
import { requireFree } from '../training/local-run.js';
import { localTools, openLocalBase } from '../training/local-tools.js';

/** Options of `experts import`. */
export interface ImportOptions {
  readonly json: boolean;
  readonly out: string;
  readonly name: string;
  readonly base?: string;
  /** Labels with commas between them, or a file with one on each line. */
  readonly labels?: string;
  readonly head?: string;
  readonly description?: string;
  readonly licence: string;
  readonly origin: string;
}

/**
 * Turns a PEFT folder into a `lowrank` bundle. All is read and checked before the folder of the bundle is made.
 * @throws BUNDLE_INVALID naming file and field, CONFIG_INVALID
 */
export async function importLocal(folder: string, options: ImportOptions): Promise<void> {
  const { name, licence, origin } = options;
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name))
    throw usage(
      `"${name}" is no name of an expert; give --name with lower-case letters, digits and hyphens.`,
    );
  const out = resolve(options.out);
  await requireFree(out);
  const files = await readPeftFolder(folder, options.head);
  const tools = localTools(1);
  try {
    const base = await openLocalBase(options.base, tools);
    const { weights: shapes, config } = base.read;
    const classifier = parsePeftAdapter(files, { shapes, hidden: config.hiddenSize });
    const labels = labelsOf(options.labels, classifier.head.bias.length);
    const { manifest, files: written } = importedBundle(classifier, base, {
      name,
      version: '1',
      description: options.description ?? `Classifies text by ${name}.`,
      licence,
      origin,
      labels,
      date: new Date().toISOString().slice(0, 10),
    });
    const { digest } = await writeBundle(out, manifest, written);
    const { rank, alpha, factors } = classifier.adapter;
    const { headFrom } = classifier;
    createOutput(options.json).answer(
      { expert: name, folder: out, digest, rank, alpha, layers: factors.length, labels, head: headFrom },
      () => [
        `${out}: ${name}, lowrank over ${base.manifest.name}, rank ${rank}, ${factors.length} layers, ${labels.length} labels.`,
        `  head: ${headFrom}, on the L2-normalised mean of the token vectors`,
        '  Nothing was measured.',
        '',
        `  npx thalamus experts evaluate ${options.out} --data held-out.csv`,
        `  npx thalamus experts add ${options.out}        # to a running mesh`,
      ],
    );
  } finally {
    await tools.runtime.close();
  }
}

/** Labels as they were given, else the names that Hugging Face gives to rows without one. @throws CONFIG_INVALID */
function labelsOf(given: string | undefined, rows: number): readonly string[] {
  if (given === undefined) return Array.from({ length: rows }, (_, row) => `LABEL_${row}`);
  const listed = existsSync(given) ? linesOf(given) : given.split(',');
  const labels = listed.map((label) => label.trim());
  const empty = labels.indexOf('');
  if (empty >= 0) throw usage(`--labels: label ${empty + 1} is empty; name one for each row of the head.`);
  return labels;
}

function linesOf(file: string): string[] {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
    return text.replace(/\r?\n$/, '').split(/\r?\n/);
  } catch {
    throw usage(`--labels: ${file} is no readable text in UTF-8; give a file with one label on each line.`);
  }
}

function usage(message: string): ThalamusError {
  return new ThalamusError('CONFIG_INVALID', message);
}
