import { embedTexts, type TrainingBase } from '@thalamus/training';
import type { Embed } from './kept-vectors.js';

/** Embeds texts by the graph of a base; the same list again at once is not embedded again. */
export function embedOnce(base: TrainingBase, kept: Embed | undefined): Embed {
  const embed: Embed = kept ?? ((texts, onBatch) => embedTexts(base.encoder, texts, { onBatch }));
  let last: { readonly texts: readonly string[]; readonly vectors: ReturnType<Embed> } | undefined;
  return (texts, onBatch) => {
    const isSame = last?.texts.length === texts.length && last.texts.every((text, at) => text === texts[at]);
    if (!last || !isSame) last = { texts, vectors: embed(texts, onBatch) };
    return last.vectors;
  };
}
