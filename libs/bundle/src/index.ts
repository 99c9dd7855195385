export {
  DIGEST_PATTERN,
  digestHex,
  digestOf,
  isDigest,
  parseDigest,
  sha256Hex,
  sha256OfFile,
  type Digest,
} from './digest.js';
export {
  MANIFEST_SCHEMA_VERSION,
  TASKS,
  isPlainPath,
  type EvaluationRow,
  type FileEntry,
  type Task,
  type TrainingDataRow,
} from './manifest-fields.js';
export {
  EXPERT_KINDS,
  EXPERT_MANIFEST,
  POOLINGS,
  PRECISIONS,
  PROBLEM_TYPES,
  expertManifestSchema,
  type ExpertKind,
  type ExpertManifest,
  type Pooling,
} from './expert-manifest.js';
export {
  MOST_RISK_ROWS,
  ROUTER_MANIFEST,
  routerManifestSchema,
  type RouterManifest,
} from './router-manifest.js';
export {
  MAP_EXTENT,
  MAX_EVALUATION_BYTES,
  MAX_MAP_LABELS,
  MAX_MAP_POINTS,
  ROUTER_EVALUATION,
  encodeRouterEvaluation,
  parseRouterEvaluation,
  routerEvaluationSchema,
  type RouterEvaluationReport,
} from './router-evaluation.js';
export {
  COMPOSITION_FIGURES,
  COMPOSITION_REPORT,
  MAX_COMPOSITION_BYTES,
  MAX_COMPOSITION_PARENTS,
  compositionReportSchema,
  encodeCompositionReport,
  parseCompositionReport,
  type CompositionReport,
} from './composition-report.js';
export type {
  ArtifactSource,
  ArtifactStat,
  ArtifactStore,
  GetOptions,
  PutOptions,
  PutResult,
} from './artifact-store.js';
export {
  MAX_MANIFEST_BYTES,
  encodeManifest,
  manifestNameOf,
  parseExpertManifest,
  parseRouterManifest,
  type ManifestName,
} from './parse-manifest.js';
export {
  bundleDigest,
  openBundle,
  openRouterBundle,
  type OpenBundleOptions,
  type OpenedBundle,
} from './open-bundle.js';
export {
  listFiles,
  writeBundle,
  writeRouterBundle,
  type BundleFiles,
  type BundleSources,
  type CopiedFile,
  type WrittenBundle,
} from './write-bundle.js';
export {
  float16Tensor,
  float32Tensor,
  readSafetensors,
  requireFloat32,
  toFloat32,
  writeSafetensors,
  type Safetensors,
  type SafetensorsType,
  type StoredTensor,
} from './safetensors.js';
export { FolderArtifactStore } from './folder-artifact-store.js';
export type { FetchOptions } from './fetch-file.js';
export { importBundle, materialiseBundle, readArtifact, type ImportedBundle } from './transfer-bundle.js';
export {
  checkLowRankFits,
  lowRankFiles,
  readLowRankAdapter,
  type LowRankParts,
  type WeightShapes,
} from './low-rank-bundle.js';
export { readClassifierHead, readDeltaHead, readMaskedLmHead, writeDeltaHead } from './delta-head.js';
export {
  HEAD_TENSORS,
  LOW_RANK_FILES,
  type ClassifierHead,
  type DeltaHead,
  type HeadSizes,
  type LowRankAdapter,
  type LowRankFactors,
  type MaskedLmHead,
} from './low-rank-format.js';
export {
  parsePeftAdapter,
  PEFT_FILES,
  readPeftFolder,
  type PeftBase,
  type PeftClassifier,
  type PeftFiles,
} from './peft-adapter.js';
export { LOGITS, MASKED_POSITIONS, TEXT_VECTORS, TOKEN_INPUTS, TOKEN_STATES } from './text-graph-contract.js';
export { listImportFolder, readWhole, type ImportFolder } from './importers/import-folder.js';
export { recogniseForm, type ImportForm } from './importers/recognise-form.js';
export { readImportedGraph } from './importers/import-model.js';
export type { ExportWishes } from './importers/hugging-face-export.js';
export { importedGraphManifest, type GraphFacts, type ImportedGraph } from './importers/imported-graph.js';
export {
  addSignature,
  readSignatures,
  SIGNATURE_FILE,
  signDigest,
  type BundleSignature,
} from './signing/bundle-signature.js';
export { readSigningKey, readTrustedKeys, type SigningKey } from './signing/signing-keys.js';
export { SignaturePolicy, type SignatureSettings } from './signing/signature-policy.js';
export type { ModelSource, RemoteDigest, RemoteFile, SourceRequest } from './sources/model-source.js';
export { S3Source, type S3Options } from './sources/s3-source.js';
export { HubSource, type HubOptions } from './sources/hub-source.js';
export { fetchModel, type FetchModelOptions } from './sources/fetch-model.js';
