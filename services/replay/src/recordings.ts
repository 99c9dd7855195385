import { ThalamusError } from '@thalamus/errors';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';

const metaSchema = z.object({
  meta: z.object({ set: z.string(), licence: z.string(), models: z.array(z.string()) }),
});
const rowSchema = z.object({ prompt: z.string(), responses: z.array(z.string().nullable()) });

/** Answers of real models to real prompts, found again by the exact prompt. */
export class Recordings {
  private constructor(
    readonly models: readonly string[],
    /** The shortest first. */
    readonly prompts: readonly string[],
    private readonly answers: ReadonlyMap<string, readonly (string | null)[]>,
  ) {}

  /** @throws DATASET_INVALID naming the file and line */
  static read(file: string): Recordings {
    let lines: string[];
    try {
      lines = gunzipSync(readFileSync(file)).toString('utf8').split('\n');
    } catch (cause) {
      throw new ThalamusError('DATASET_INVALID', `${file} cannot be read as gzipped JSON lines.`, { cause });
    }
    const { models } = parse(metaSchema, lines[0] ?? '', file, 1).meta;
    const answers = new Map<string, readonly (string | null)[]>();
    const prompts: string[] = [];
    lines.slice(1).forEach((line, index) => {
      if (line === '') return;
      const row = parse(rowSchema, line, file, index + 2);
      prompts.push(row.prompt);
      answers.set(digestOf(row.prompt), row.responses);
    });
    prompts.sort((a, b) => a.length - b.length);
    return new Recordings(models, prompts, answers);
  }

  /** What a model said to a prompt; undefined when it was never asked that. */
  answer(model: string, prompt: string): string | undefined {
    const index = this.models.indexOf(model);
    return index < 0 ? undefined : (this.answers.get(digestOf(prompt))?.[index] ?? undefined);
  }
}

function parse<S extends z.ZodType>(schema: S, line: string, file: string, number: number): z.output<S> {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw new ThalamusError('DATASET_INVALID', `${file}, line ${number}: it is not a recorded answer.`, {
      cause,
    });
  }
}

function digestOf(prompt: string): string {
  return createHash('sha256').update(prompt, 'utf8').digest('hex');
}
