import { writeBundle, type WrittenBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { HYPER_PARAMETERS, openTrainingBase, splitTraining, trainExpert } from '@thalamus/training';

/** A low-rank classifier that is to be trained. */
export interface TrainWish {
  readonly name: string;
  /** Folder of its base. */
  readonly base: string;
  /** Folder that its bundle is written to. */
  readonly folder: string;
  readonly rank: number;
  readonly rows: readonly { readonly text: string; readonly label: string }[];
}

/** Trains a low-rank classifier for an epoch: real factors and a real head, in about a second on a pico base. */
export async function trainPicoExpert({ name, base, folder, rank, rows }: TrainWish): Promise<WrittenBundle> {
  const runtime = new OrtRuntime();
  try {
    const tools = { runtime, threads: 1, readTokenizer: (json: Uint8Array) => Tokenizer.parse(json) };
    const given = rows.map((row, index) => ({ ...row, id: String(index), slice: '', line: index + 2 }));
    const result = await trainExpert({
      base: await openTrainingBase(base, tools),
      parts: splitTraining({ file: name, rows: given }, undefined, 1),
      method: 'lora',
      settings: {
        ...HYPER_PARAMETERS.lora,
        epochs: 1,
        rate: 2e-2,
        headRate: 2e-2,
        rowsPerBatch: 4,
        rank,
        alpha: rank,
      },
      seed: 1,
      keepMethod: true,
      facts: {
        name,
        version: '1',
        description: 'A tiny classifier trained by a test.',
        licence: 'CC0-1.0',
        trainingData: [{ name, licence: 'CC0-1.0', origin: 'a test', rows: rows.length }],
        seed: 1,
        date: '2026-01-31',
        datasets: { validation: name, test: name },
      },
    });
    if (result.kind !== 'finished') throw new Error('the training was interrupted');
    return await writeBundle(folder, result.manifest, result.files);
  } finally {
    await runtime.close();
  }
}
