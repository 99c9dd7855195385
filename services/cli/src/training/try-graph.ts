import {
  LOGITS,
  MASKED_POSITIONS,
  TEXT_VECTORS,
  TOKEN_INPUTS,
  TOKEN_STATES,
  type ImportedGraph,
} from '@thalamus/bundle';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { OrtRuntime, padTokens, Tokenizer, type Feeds, type InferenceSession } from '@thalamus/inference';
import { tensor } from '@thalamus/tensor';
import { readFile } from 'node:fs/promises';

/** Longest text that is tried, tokens: what attention needs grows with its square. */
const LONGEST_TRIED = 512;

/**
 * Opens an imported graph as the host will, and runs it on a text as long as it may be: a graph that cannot be served is refused
 * before it is registered. A graph of tensors is only opened, since nothing says what to give it.
 * @throws GRAPH_INVALID, BUNDLE_INVALID, CONFIG_INVALID for labels that are not as many as the scores
 */
export async function tryGraph(found: ImportedGraph): Promise<void> {
  const { files, takesTexts } = found;
  const path = files['model.onnx']?.from ?? '';
  const runtime = new OrtRuntime();
  try {
    const session = await runtime.load({ path }, { threads: 1 }).catch((cause: unknown) => {
      const { code, message } = toThalamusError(cause);
      throw new ThalamusError(code, `${path}: ${message} Fetch or export it again.`, { cause });
    });
    if (takesTexts) await tryText(found, session);
  } finally {
    await runtime.close();
  }
}

async function tryText(found: ImportedGraph, session: InferenceSession): Promise<void> {
  const { files, task, maxTokens, labels, graph } = found;
  const tokenizer = Tokenizer.parse(await readFile(files['tokenizer.json']?.from ?? ''));
  const mask = tokenizer.mask;
  if (task === 'fill-mask' && !mask)
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${graph} fills masks, but tokenizer.json has no mask token; export the tokenizer of that model.`,
    );
  const feeds = await longText(session, tokenizer, Math.min(maxTokens, LONGEST_TRIED));
  const names = session.outputs.map(({ name }) => name);
  const output =
    task === 'feature-extraction'
      ? ([...TOKEN_STATES, ...TEXT_VECTORS].find((name) => names.includes(name)) ?? '')
      : LOGITS;
  const results = await session.run(feeds, { outputs: [output] }).catch((fault: unknown) => {
    const { message, code } = toThalamusError(fault);
    throw new ThalamusError(
      code === 'INFERENCE_FAILED' ? 'GRAPH_INVALID' : code,
      `${graph} fails on a text of ${feeds[TOKEN_INPUTS.ids]?.shape[1] ?? 0} tokens (${message}) Give --max-tokens if it takes fewer, or export it again.`,
      { cause: fault },
    );
  });
  const width = results[output]?.shape.at(-1);
  if (labels !== undefined && width !== labels.length)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${graph} gives ${width ?? 0} scores, but there are ${labels.length} labels; name one for each score with --labels.`,
    );
}

/** What a graph takes for a text of so many tokens, the first of them a mask where there is one. */
async function longText(session: InferenceSession, tokenizer: Tokenizer, length: number): Promise<Feeds> {
  const text = `${tokenizer.mask?.text ?? ''} ${'word '.repeat(length)}`;
  const { inputIds, attentionMask } = padTokens(await tokenizer.encode([text], length));
  const known: Feeds = {
    [TOKEN_INPUTS.ids]: inputIds,
    [TOKEN_INPUTS.mask]: attentionMask,
    [TOKEN_INPUTS.types]: tensor('int64', inputIds.shape, new BigInt64Array(inputIds.data.length)),
    [MASKED_POSITIONS]: tensor('int64', [1], BigInt64Array.of(0n)),
  };
  const wanted = new Set(session.inputs.map(({ name }) => name));
  return Object.fromEntries(Object.entries(known).filter(([name]) => wanted.has(name)));
}
