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
  PRECISIONS,
  expertManifestSchema,
  type ExpertKind,
  type ExpertManifest,
} from './expert-manifest.js';
export { ROUTER_MANIFEST, routerManifestSchema, type RouterManifest } from './router-manifest.js';
export type {
  ArtifactSource,
  ArtifactStat,
  ArtifactStore,
  GetOptions,
  PutOptions,
  PutResult,
} from './artifact-store.js';
