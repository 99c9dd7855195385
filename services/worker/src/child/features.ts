import { digestOf, float32Tensor, readSafetensors, toFloat32, writeSafetensors } from '@thalamus/bundle';
import { embedTexts, type BatchEncoder, type EmbeddedTexts } from '@thalamus/training';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { CheckpointRequests } from './checkpoint-requests.js';
import type { WorkReporter } from './work-reporter.js';

/** The vectors of all texts of a job, kept in a file so that another attempt can go on from there. */
export class Features {
  constructor(
    private readonly file: string,
    private readonly reporter: WorkReporter,
    /** Asked after each batch: whether to write the file. */
    private readonly requests: CheckpointRequests,
    private readonly onWritten: () => void,
  ) {}

  /** Embeds texts with an encoder that `encoderId` identifies; goes on from the file when it holds the same texts' vectors. */
  async embed(encoder: BatchEncoder, encoderId: string, texts: readonly string[]): Promise<EmbeddedTexts> {
    const key = digestOf(`${encoderId}\n${JSON.stringify(texts)}`);
    const resume = this.read(key);
    const total = texts.length;
    const done = resume ? resume.features.length / resume.width : 0;
    this.reporter.step('embedding', done, total);
    return embedTexts(encoder, texts, {
      ...(resume ? { resume } : {}),
      onBatch: (count, encoded) => {
        this.reporter.step('embedding', count, total);
        // What is complete is worth keeping: what follows may take long too.
        if (!this.requests.take() && count < total) return;
        this.write(key, encoded);
      },
    });
  }

  private read(key: string): EmbeddedTexts | undefined {
    if (!existsSync(this.file)) return undefined;
    const { tensors, metadata } = readSafetensors(readFileSync(this.file));
    const stored = tensors.get('features');
    const [, width = 0] = stored?.shape ?? [];
    if (metadata['key'] !== key || !stored || width === 0) return undefined;
    return { features: toFloat32(stored), width };
  }

  /** Appears by rename: whoever reads the file sees one whole state of it. */
  private write(key: string, { features, width }: EmbeddedTexts): void {
    const bytes = writeSafetensors(
      { features: float32Tensor([features.length / width, width], features) },
      { key },
    );
    writeFileSync(`${this.file}.new`, bytes);
    renameSync(`${this.file}.new`, this.file);
    this.onWritten();
  }
}
