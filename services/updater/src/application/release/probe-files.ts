import { parseDigest, readArtifact, type ArtifactStore } from '@thalamus/bundle';
import { MAX_PROBE_BYTES, probesIn, type Probe } from '@thalamus/compatibility';
import { registryV1, type releaseV1 } from '@thalamus/contracts';
import type { RegistryView } from '@thalamus/registry';
import { needAskable, needEnough, needKnownLabels } from '../../domain/release/probe-fit.js';
import type { CheckContract } from './check-contract.js';
import { within } from './within.js';

/** How long reading one may take, milliseconds. */
const READ_MS = 10_000;

/** Both versions of a release that begins. */
export interface ProbedVersions {
  readonly expert: string;
  readonly fromVersion: string;
  readonly toVersion: string;
}

/** Labelled probes, kept among the artifacts, and read by the digest that the registry has of them. */
export class ProbeFiles {
  constructor(
    private readonly artifacts: ArtifactStore,
    private readonly contracts: Pick<CheckContract, 'contract'>,
    private readonly view: Pick<RegistryView, 'version'>,
  ) {}

  /**
   * What a release that begins keeps of its probes; undefined for no digest.
   * @throws REQUEST_INVALID for versions that cannot be asked, labels that they do not have and too few items; ARTIFACT_NOT_FOUND,
   * REQUEST_TOO_LARGE, DATASET_INVALID by line
   */
  async given(
    digest: string,
    { expert, fromVersion, toVersion }: ProbedVersions,
    plan: releaseV1.ReleasePlan,
  ): Promise<Pick<releaseV1.ReleaseProbes, 'digest' | 'items'> | undefined> {
    if (digest === '') return undefined;
    const versions = await Promise.all(
      [fromVersion, toVersion].map(async (version) => {
        const isRemote = this.view.version(expert, version)?.kind === registryV1.ExpertKind.UPSTREAM;
        const own = await this.contracts.contract(expert, version);
        return { name: `${expert}@${version}`, contract: isRemote ? { upstream: '', ...own } : own };
      }),
    );
    versions.forEach(needAskable);
    const probes = await this.read(digest);
    needKnownLabels(probes, versions);
    needEnough(plan, probes.length);
    return { digest, items: probes.length };
  }

  /** The items of a file. @throws ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT, REQUEST_TOO_LARGE, DATASET_INVALID, DEADLINE_EXCEEDED */
  async read(digest: string): Promise<Probe[]> {
    const bytes = await within(readArtifact(this.artifacts, parseDigest(digest), MAX_PROBE_BYTES), READ_MS);
    return probesIn(bytes, `The file of probes ${digest.slice(0, 19)}…`);
  }
}
