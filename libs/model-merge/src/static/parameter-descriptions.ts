/** What the parameters of static merges are for; a name means the same in every method. */
export const PARAMETER_DESCRIPTIONS: Readonly<Record<string, string>> = {
  lambda: 'Factor of the merged task vector, without unit.',
  normalize: 'Whether weights are divided by their sum; with sign consensus, by the sum of those that agree.',
  rescale:
    'Whether what is left of a task vector is scaled up: true or l1 restores its L1 norm in each tensor, expectation divides by the density.',
  int8_mask:
    'Of mergekit, which stores masks so; masks take no memory here, and the result is the same with either value.',
  weight: 'Weight of the model, without unit.',
  density: 'Share of the task vector that is kept, 0 to 1.',
  trim: 'Whether the largest are kept of each tensor, or of the whole model as in the paper.',
  mask: 'Whether bands are cut of each tensor, or of each of its rows as in the released code.',
  gamma: 'Share of the largest values of the task vector that is dropped, 0 to 1.',
  t: 'Place between the first model, which is base_model where that is named, 0, and the second, 1.',
  floor: 'Least information of a parameter, so that what no model knows of is averaged.',
  information_rows:
    'Most training rows of each model that its Fisher information is measured on, with a gradient for each label of each.',
  information_labels:
    'Labels that are drawn for each row from the answer of the model itself; 0: all of its labels, weighed by their probabilities.',
  tail: 'Share of the values at either end that is clamped before magnitudes are compared.',
  seed: 'Seed of the random masks.',
};
