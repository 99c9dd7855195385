import {
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  type ArtifactStore,
  type ExpertManifest,
} from '@thalamus/bundle';
import { compareContracts, type ContractDifference, type ModelContract } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';

const TOKENIZER = 'tokenizer.json';

/**
 * Compares what two versions promise to callers, as their manifests say. Graphs and tokenizers are not opened here: their files are told apart
 * by digest, and `thalamus release diff` looks into them.
 */
export class CheckContract {
  constructor(
    private readonly view: Pick<RegistryView, 'version'>,
    private readonly artifacts: ArtifactStore,
  ) {}

  /** Differences, worst first. @throws ARTIFACT_NOT_FOUND, EXPERT_NOT_FOUND */
  async run(expert: string, fromVersion: string, toVersion: string): Promise<ContractDifference[]> {
    return compareContracts(await this.contract(expert, fromVersion), await this.contract(expert, toVersion));
  }

  /** The same for a bundle that is not registered yet. @throws as `run` */
  async ofBundle(expert: string, fromVersion: string, digest: string): Promise<ContractDifference[]> {
    return compareContracts(await this.contract(expert, fromVersion), await this.contractOf(digest));
  }

  /** What a version promises. @throws ARTIFACT_NOT_FOUND, EXPERT_NOT_FOUND */
  async contract(expert: string, version: string): Promise<ModelContract> {
    const digest = this.view.version(expert, version)?.manifestDigest;
    if (digest === undefined)
      throw new ThalamusError('EXPERT_NOT_FOUND', `${expert} has no version ${version}.`);
    return this.contractOf(digest);
  }

  private async contractOf(digest: string): Promise<ModelContract> {
    const parsed = parseDigest(digest);
    return contractOf(
      parseExpertManifest(await readArtifact(this.artifacts, parsed, MAX_MANIFEST_BYTES), parsed),
    );
  }
}

function contractOf(manifest: ExpertManifest): ModelContract {
  const { task, labels, maxTokens, precision, licence, kind, base, lineage, problemType, pooling, upstream } =
    manifest;
  const parents = lineage?.parents.map(({ name, version }) => `${name}@${version}`);
  const tokenizer = manifest.files.find(({ path }) => path === TOKENIZER);
  return {
    ...{ task, maxTokens, dtype: precision, licence },
    ...(labels ? { labels } : {}),
    ...(kind === 'full' && manifest.inputs ? { inputs: manifest.inputs } : {}),
    ...(tokenizer ? { tokenizer: { digest: `sha256:${tokenizer.sha256}` } } : {}),
    lineage: { kind, ...(base ? { base: base.digest } : {}), ...(parents?.length ? { parents } : {}) },
    ...(problemType ? { problemType } : {}),
    ...(pooling ? { pooling } : {}),
    ...(upstream ? { upstream: `${upstream.model} at ${upstream.baseUrl}` } : {}),
  };
}
