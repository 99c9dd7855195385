// Selectors that read what models say of themselves and never saw a loss: the control of a trained router.
import { createRandom } from '@thalamus/tensor';
import { embedTexts } from '@thalamus/training';

/** The model whose description is nearest to the prompt by the vectors of an encoder; both are [rows, width], of length 1. */
export async function nearestDescriptions(encoder, descriptions, vectors) {
  const { features, width } = await embedTexts(encoder, descriptions);
  return Int32Array.from({ length: vectors.length / width }, (_, row) => {
    const cosines = descriptions.map((_, k) => {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += features[k * width + i] * vectors[row * width + i];
      return sum;
    });
    return cosines.indexOf(Math.max(...cosines));
  });
}

/** The model whose description shares most with the prompt by TF-IDF of words; by chance among equals. */
export function wordDescriptions(descriptions, prompts, seed) {
  const terms = descriptions.map(wordsOf);
  const seen = new Map();
  for (const own of terms) for (const word of own) seen.set(word, (seen.get(word) ?? 0) + 1);
  const rarity = (word) => Math.log((1 + terms.length) / (1 + seen.get(word))) + 1;
  const lengths = terms.map((own) => Math.hypot(...[...own].map(rarity)));
  const random = createRandom(seed);
  return Int32Array.from(prompts, (prompt) => {
    const words = wordsOf(prompt);
    const scores = terms.map((own, k) => {
      const shared = [...own].filter((word) => words.has(word)).map((word) => rarity(word) ** 2);
      return shared.reduce((sum, weight) => sum + weight, 0) / lengths[k];
    });
    const most = Math.max(...scores);
    const equals = scores.flatMap((score, k) => (score === most ? [k] : []));
    return equals[random.below(equals.length)];
  });
}

const wordsOf = (text) => new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
