import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';

/** Tasks whose experts are measured on prompts. */
export const MEASURED_TASKS = ['text-classification', 'fill-mask'] as const;
/** One of them. */
export type MeasuredTask = (typeof MEASURED_TASKS)[number];

/** A prompt that experts are measured on. */
export interface MeasuredPrompt {
  /** As the file has it, else the number of its line. */
  readonly id: string;
  readonly text: string;
  /** The right label; of labelled prompts alone. */
  readonly label?: string;
  /** What it is a part of: prompts of one group are never split. */
  readonly group?: string;
  /** Label for controls; no router reads it. */
  readonly domain: string;
  /** Line of the file, from 1. */
  readonly line: number;
}

/** Longest prompt, bytes of UTF-8. */
export const MAX_MEASURED_PROMPT_BYTES = 262_144;
/** Most prompts of a file. */
export const MAX_MEASURED_PROMPTS = 200_000;
/** Largest file of prompts, bytes. */
export const MAX_PROMPTS_FILE_BYTES = 2 ** 30;

const name = z.union([z.string().min(1).max(256), z.number().transform(String)]);
const fields = {
  text: z.string({ error: 'must be a string' }),
  id: name.optional(),
  group: name.optional(),
  doc: name.optional(),
  domain: z.string().max(256).optional(),
};
const schemas = {
  'text-classification': z.strictObject({ ...fields, label: z.string().min(1).max(256) }),
  'fill-mask': z.strictObject(fields),
};

/**
 * Reads prompts: JSONL in UTF-8, an object with `text` a line and, where labels are given, `label`; optionally `id`, `group` (or `doc`,
 * its name in files of texts) and `domain`. Only `\n` ends a line; blank lines are passed over; messages never quote a prompt.
 * @throws DATASET_INVALID that names file, line and cure: also for unknown fields, an id that came before, and a prompt that is empty or
 *   longer than `MAX_MEASURED_PROMPT_BYTES`
 */
export function readMeasuredPrompts(bytes: Uint8Array, file: string, task: MeasuredTask): MeasuredPrompt[] {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const prompts: MeasuredPrompt[] = [];
  const lineOf = new Map<string, number>();
  let line = 0;
  for (let from = 0; from < bytes.length;) {
    const found = bytes.indexOf(10, from);
    const end = found < 0 ? bytes.length : found;
    line += 1;
    const refuse = (reason: string): never => {
      throw new ThalamusError('DATASET_INVALID', `${file}: line ${line} ${reason}.`);
    };
    const content = decoded(decoder, bytes.subarray(from, end), refuse);
    from = end + 1;
    if (content.trim() === '') continue;
    const prompt = promptOf(content, { task, line, refuse });
    const before = lineOf.get(prompt.id);
    if (before !== undefined) refuse(`has the id of line ${before}; give every prompt an id of its own`);
    lineOf.set(prompt.id, line);
    prompts.push(prompt);
    if (prompts.length > MAX_MEASURED_PROMPTS)
      refuse(`is beyond the limit of ${MAX_MEASURED_PROMPTS} prompts; measure them in parts`);
  }
  if (prompts.length > 0) return prompts;
  throw new ThalamusError(
    'DATASET_INVALID',
    `${file}: the file holds no prompt; give it a line such as ${EXAMPLES[task]} for each.`,
  );
}

const EXAMPLES: Readonly<Record<MeasuredTask, string>> = {
  'text-classification': '{"text": "...", "label": "..."}',
  'fill-mask': '{"text": "..."}',
};

type Refuse = (reason: string) => never;

function decoded(decoder: InstanceType<typeof TextDecoder>, part: Uint8Array, refuse: Refuse): string {
  try {
    return decoder.decode(part);
  } catch {
    return refuse('is not UTF-8; save the file as UTF-8');
  }
}

function promptOf(
  content: string,
  { task, line, refuse }: { readonly task: MeasuredTask; readonly line: number; readonly refuse: Refuse },
): MeasuredPrompt {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return refuse(`is not JSON; each line must be an object such as ${EXAMPLES[task]}`);
  }
  const result = schemas[task].safeParse(value);
  if (!result.success) return refuse(reasonOf(result.error, task));
  const { text, id = String(line), group, doc, domain = '' } = result.data;
  if (text.trim() === '') refuse('has an empty text; fill it in or remove the line');
  const size = Buffer.byteLength(text);
  if (size > MAX_MEASURED_PROMPT_BYTES)
    refuse(
      `has a text of ${size} bytes; at most ${MAX_MEASURED_PROMPT_BYTES} are taken: cut it, or remove the line`,
    );
  if (group !== undefined && doc !== undefined)
    refuse('has "group" and "doc", which mean the same; keep one');
  const of = group ?? doc;
  return {
    id,
    text,
    ...('label' in result.data ? { label: String(result.data.label) } : {}),
    ...(of === undefined ? {} : { group: of }),
    domain,
    line,
  };
}

/** What is wrong, without a word of the prompt. */
function reasonOf({ issues: [issue] }: z.ZodError, task: MeasuredTask): string {
  if (issue?.code === 'unrecognized_keys') {
    const keys = issue.keys.map((key) => `"${key.slice(0, 40)}"`).join(', ');
    return `has the unknown ${issue.keys.length > 1 ? 'fields' : 'field'} ${keys}; prompts for ${task} have ${Object.keys(schemas[task].shape).join(', ')}`;
  }
  return `is wrong at ${issue?.path.join('.') || 'its top'}: ${issue?.message ?? ''}; each line must be an object such as ${EXAMPLES[task]}`;
}
