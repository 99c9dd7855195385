import { clone, create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampMs } from '@bufbuild/protobuf/wkt';
import {
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  type SignaturePolicy,
  type ArtifactStore,
  type ExpertManifest,
} from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { needArtifact } from './need-artifact.js';
import type { Actor, Change, RegistryWriter } from './registry-writer.js';

const KINDS: Readonly<Record<ExpertManifest['kind'], registryV1.ExpertKind>> = {
  full: registryV1.ExpertKind.FULL,
  probe: registryV1.ExpertKind.PROBE,
  lowrank: registryV1.ExpertKind.LOWRANK,
  twin: registryV1.ExpertKind.TWIN,
  upstream: registryV1.ExpertKind.UPSTREAM,
};

/** Registers expert versions from bundles whose artifacts are stored. */
export class RegisterVersion {
  constructor(
    private readonly view: RegistryView,
    private readonly writer: RegistryWriter,
    private readonly artifacts: ArtifactStore,
    private readonly signatures: SignaturePolicy,
  ) {}

  /**
   * The first version of an expert becomes stable; the same version with the same digest changes nothing, but that an expert with an
   * end has none any more where the request gives none.
   */
  async expert(
    request: registryV1.RegisterVersionRequest,
    actor: Actor,
  ): Promise<{ expert: registryV1.Resource; version: registryV1.Resource; existed: boolean }> {
    const { version, changes } = await this.prepared(request);
    let existed = false;
    await this.writer.write(actor, () => {
      existed = this.isRegistered(version);
      return changes();
    });
    return {
      expert: this.need(`expert/${version.expert}`),
      version: this.need(`version/${version.expert}@${version.version}`),
      existed,
    };
  }

  /**
   * What registers a version: read and checked now, `changes` to be decided within the write, on what is then registered.
   * @throws as `expert`; `changes` throws REVISION_CONFLICT when the version is there with other content
   */
  async prepared(
    request: registryV1.RegisterVersionRequest,
  ): Promise<{ readonly version: registryV1.ExpertVersion; readonly changes: () => Change[] }> {
    this.writer.requireLeader();
    const manifest = await this.readExpert(request.version?.manifestDigest ?? '');
    const version = this.signed(
      versionFacts(manifest, request.version as registryV1.ExpertVersion),
      manifest,
    );
    checkClaims(request.version as registryV1.ExpertVersion, version);
    this.checkBase(version);
    return { version, changes: () => this.changes(request, version, manifest) };
  }

  private changes(
    request: registryV1.RegisterVersionRequest,
    version: registryV1.ExpertVersion,
    manifest: ExpertManifest,
  ): Change[] {
    const existed = this.isRegistered(version);
    const expert = this.expertAfter(request, version, manifest);
    const changes: Change[] =
      existed && !this.hasNewSignatures(version)
        ? []
        : [
            {
              key: `version/${version.expert}@${version.version}`,
              value: { case: 'version', value: version },
            },
          ];
    if (expert)
      changes.push({
        key: `expert/${version.expert}`,
        value: { case: 'expert', value: expert },
        expectedRevision: request.expectedRevision,
      });
    return changes;
  }

  /** Whether the same version is registered with the same content. @throws REVISION_CONFLICT when with other content */
  private isRegistered(version: registryV1.ExpertVersion): boolean {
    const known = this.view.version(version.expert, version.version);
    if (known && known.manifestDigest !== version.manifestDigest)
      throw new ThalamusError(
        'REVISION_CONFLICT',
        `${version.expert}@${version.version} is registered already with other content; versions are immutable, give it a new one.`,
      );
    return known !== undefined;
  }

  /**
   * A version with its trust: signed is what a trusted key signed, whatever the manifest says of itself. What is remote has no
   * files that a signature could be of.
   * @throws SIGNATURE_REFUSED
   */
  private signed(
    version: registryV1.ExpertVersion,
    { kind, trust }: ExpertManifest,
  ): registryV1.ExpertVersion {
    const digest = parseDigest(version.manifestDigest);
    const what = `${version.expert}@${version.version}`;
    const isSigned = kind !== 'upstream' && this.signatures.check(what, digest, version.signatures);
    const facts = [isSigned, trust.scanned, trust.backdoorTested];
    return { ...version, trust: facts.filter(Boolean).length / facts.length };
  }

  /** Whether a version that is registered brings signatures that it had not; they take the place of the known ones. */
  private hasNewSignatures({ expert, version, signatures }: registryV1.ExpertVersion): boolean {
    const known = new Set(this.view.version(expert, version)?.signatures.map(({ value }) => value));
    return signatures.some(({ value }) => !known.has(value));
  }

  /** The expert as it must be written, or undefined when it stays as it is. */
  private expertAfter(
    request: registryV1.RegisterVersionRequest,
    version: registryV1.ExpertVersion,
    manifest: ExpertManifest,
  ): registryV1.Expert | undefined {
    const expert = this.view.expert(version.expert);
    if (!expert)
      return create(registryV1.ExpertSchema, {
        name: version.expert,
        task: version.task,
        description: request.description || manifest.description,
        stable: version.version,
        tenants: request.tenants,
        ...endOf(request),
      });
    if (expert.task !== version.task)
      throw new ThalamusError(
        'REQUEST_INVALID',
        `${version.expert} serves ${expert.task}; a version of it cannot serve ${version.task}.`,
      );
    const description = request.description || expert.description;
    const isKept = expert.expiresAt !== undefined && !request.expiresAt && this.isRegistered(version);
    if (description === expert.description && !isKept) return undefined;
    return { ...(isKept ? withoutEnd(expert) : expert), description };
  }

  private async readExpert(digestText: string): Promise<ExpertManifest> {
    const digest = parseDigest(digestText);
    const manifest = parseExpertManifest(
      await readArtifact(this.artifacts, digest, MAX_MANIFEST_BYTES),
      digest,
    );
    for (const file of manifest.files) await needArtifact(this.artifacts, `sha256:${file.sha256}`, file.path);
    return manifest;
  }

  private checkBase(version: registryV1.ExpertVersion): void {
    if (version.baseDigest === '') return;
    const known = this.view
      .list('version/')
      .some(({ value }) => value.case === 'version' && value.value.manifestDigest === version.baseDigest);
    if (!known)
      throw new ThalamusError(
        'EXPERT_NOT_FOUND',
        `The base of ${version.expert} (${version.baseDigest}) is not registered; register the base first.`,
      );
  }

  private need(key: string): registryV1.Resource {
    const resource = this.view.get(key);
    if (!resource) throw new ThalamusError('INTERNAL', `${key} is missing after it was written.`);
    return resource;
  }
}

function versionFacts(manifest: ExpertManifest, claimed: registryV1.ExpertVersion): registryV1.ExpertVersion {
  return create(registryV1.ExpertVersionSchema, {
    expert: manifest.name,
    version: manifest.version,
    kind: KINDS[manifest.kind],
    task: manifest.task,
    manifestDigest: claimed.manifestDigest,
    baseDigest: manifest.base?.digest ?? '',
    labelCount: manifest.labels?.length ?? 0,
    maxTokens: manifest.maxTokens,
    parameterCount: BigInt(manifest.parameterCount),
    flopsPerToken: manifest.flopsPerToken,
    sizeBytes: BigInt(manifest.files.reduce((sum, file) => sum + file.bytes, 0)),
    licence: manifest.licence,
    releasedAt: timestampFromDate(new Date(manifest.releaseDate)),
    signatures: claimed.signatures,
    evaluation: manifest.evaluation.map(({ dataset, split, metric, value, n }) => ({
      dataset,
      split,
      metric,
      value,
      n: BigInt(n),
    })),
    ...(manifest.upstream
      ? {
          priceInputUsdPerMtok: manifest.upstream.priceInputUsdPerMtok,
          priceOutputUsdPerMtok: manifest.upstream.priceOutputUsdPerMtok,
          upstream: {
            baseUrl: manifest.upstream.baseUrl,
            model: manifest.upstream.model,
            keyReference: manifest.upstream.keyReference ?? '',
          },
        }
      : {}),
    parents: (manifest.lineage?.parents ?? []).map(({ name, version }) => `${name}@${version}`),
  });
}

/** What a caller says of a version must be what its manifest says. */
function checkClaims(claimed: registryV1.ExpertVersion, facts: registryV1.ExpertVersion): void {
  const pairs = [
    ['version.expert', claimed.expert, facts.expert],
    ['version.version', claimed.version, facts.version],
    ['version.task', claimed.task, facts.task],
  ] as const;
  for (const [field, said, is] of pairs) {
    if (said !== '' && said !== is) {
      throw new ThalamusError('REQUEST_INVALID', `${field} is "${said}", but the manifest says "${is}".`, {
        violations: [{ field, description: `must be ${is}` }],
      });
    }
  }
}

/** When a new expert ends, and how long it lives from a use on. */
function endOf({ expiresAt }: registryV1.RegisterVersionRequest) {
  if (!expiresAt) return {};
  const liveS = Math.max(1, Math.ceil((timestampMs(expiresAt) - Date.now()) / 1000));
  return { expiresAt, timeToLiveS: BigInt(liveS) };
}

/** The expert as one that stays whether it is used or not. */
function withoutEnd(expert: registryV1.Expert): registryV1.Expert {
  const lasting = clone(registryV1.ExpertSchema, expert);
  delete lasting.expiresAt;
  lasting.timeToLiveS = 0n;
  return lasting;
}
