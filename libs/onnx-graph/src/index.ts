export { decodeModel, encodeModel, graphOf, type OnnxGraph, type OnnxModel } from './onnx-model.js';
export { elementTypeOf, onnxElementType } from './element-types.js';
export { GraphBuilder, type BuildOptions, type NodeOptions, type ValueName } from './graph-builder.js';
export { tensorProto, type AttributeValue, type Dimension } from './graph-protos.js';
export {
  DEFAULT_GRAPH_LIMITS,
  inspectGraph,
  type GraphLimits,
  type GraphSummary,
  type GraphValue,
} from './inspect-graph.js';
export {
  buildBertEncoder,
  halves,
  matrixOfBlocks,
  transpose,
  WORD_PROJECTION,
  wordBlockSize,
  type BertConfig,
  type Int8Storage,
  type Storage,
  type Weights,
} from './bert-encoder.js';
export { readBertWeights, readMatrix, WORDS, type BertWeights } from './read-bert-weights.js';
export { quantiseBlocks, type QuantisedMatrix } from './quantise.js';
export { addGatheredBranches, BRANCH_INPUTS, type BranchedEncoder } from './gathered-branches.js';
export type { GatheredBranch } from './encoder-layers.js';
export { addMixture } from './mixture/add-mixture.js';
export {
  writeMixedMaskedLmHead,
  type EmbeddedEncoder,
  type HeadReads,
  type MixedHead,
} from './mixture/mixed-masked-lm-head.js';
export {
  MIXTURE_INPUTS,
  type MatrixChange,
  type Mixture,
  type MixtureOptions,
  type VectorChange,
} from './mixture/mixture.js';
export { branchRow, oneAdapterFeeds, type BranchFactors } from './branch-row.js';
export {
  buildGatheredMaskedLmHead,
  MASKED_LM_VALUES,
  type GatheredMaskedLmHead,
} from './gathered-masked-lm-head.js';
