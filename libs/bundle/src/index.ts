export { digestOf, parseDigest, type Digest } from './digest.js';
export {
  EXPERT_MANIFEST,
  expertManifestSchema,
  HEAD_FILE,
  MODEL_FILE,
  NAME_PATTERN,
  TOKENIZER_FILE,
  VERSION_PATTERN,
  type ExpertManifest,
} from './expert-manifest.js';
export {
  ROUTER_HEADS_FILE,
  ROUTER_MANIFEST,
  routerManifestSchema,
  type RouterManifest,
} from './router-manifest.js';
export {
  openExpertBundle,
  openRouterBundle,
  parseExpertManifest,
  parseRouterManifest,
  writeExpertBundle,
  writeRouterBundle,
  type BundleFile,
  type OpenedBundle,
} from './bundle-folder.js';
export type { ArtifactFacts, ArtifactStore } from './artifact-store.port.js';
export { FolderArtifactStore } from './folder-artifact-store.js';
export { importBundle, materialiseExpert, materialiseRouter } from './transfer.js';
export { readSafetensors, writeSafetensors, type Precision, type TensorFile } from './safetensors.js';
