// The small masked language models that are distilled from the generalist: fewer layers, word embeddings in two factors.

/** `layers` are those of the generalist that a model begins with; `embedding` is the inner size of the word embeddings. */
export const SMALL_MODELS = [
  { name: 'mlm-small-3', layers: [0, 2, 5], embedding: 96 },
  { name: 'mlm-small-2', layers: [0, 5], embedding: 64 },
  { name: 'mlm-small-1', layers: [0], embedding: 64 },
];
