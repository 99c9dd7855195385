import { create } from '@bufbuild/protobuf';
import {
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseRouterManifest,
  readArtifact,
  type ArtifactStore,
  type Digest,
  type RouterManifest,
} from '@thalamus/bundle';
import { parseRouterReport } from '@thalamus/compatibility';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import {
  activation,
  givenBack,
  routerName,
  type StoredComparison,
} from '../../domain/router/router-activation.js';
import { needArtifact } from '../need-artifact.js';
import type { Actor, Change, RegistryWriter } from '../registry-writer.js';

const MAX_COMPARISON_BYTES = 16 * 2 ** 20;

const keyOf = (model: Pick<registryV1.RouterModel, 'name' | 'version'>) =>
  `router-model/${routerName(model)}`;

/** Registers router models, and says which decides for its task: in the place of another only by a comparison or for a reason. */
export class RouterModelRegistry {
  constructor(
    private readonly view: RegistryView,
    private readonly writer: RegistryWriter,
    private readonly artifacts: ArtifactStore,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * Registers a router model; activation makes it the only active one of its task.
   * @throws BUNDLE_INVALID, ARTIFACT_NOT_FOUND, REVISION_CONFLICT, DATASET_INVALID for a comparison that is none; RELEASE_CONFLICT
   */
  async register(request: registryV1.RegisterRouterModelRequest, actor: Actor): Promise<registryV1.Resource> {
    this.writer.requireLeader();
    const { comparisonDigest, reason } = request;
    if (!request.activate && (comparisonDigest !== '' || reason !== ''))
      throw new ThalamusError(
        'REQUEST_INVALID',
        'comparison_digest and reason are for a router model that is activated; set activate, or leave them out.',
      );
    const digest = parseDigest(request.routerModel?.manifestDigest ?? '');
    const manifest = await this.read(digest);
    const comparison = comparisonDigest === '' ? undefined : await this.comparison(comparisonDigest);
    await this.writer.write({ ...actor, reason: whyOf(reason, comparison) }, () => {
      const known = this.known(manifest, digest);
      const facts = factsOf(manifest, digest);
      const isActive = known?.active ?? false;
      if (!request.activate || isActive) {
        if (known && known.lossUnit !== '') return [];
        return [changeTo({ ...facts, active: isActive, ...activationOf(known) })];
      }
      const active = this.view.activeRouterModel(manifest.task);
      const next = { ...facts, active: true };
      const how = activation({ next, active, comparison, reason }, this.now());
      return this.decides({ ...next, activation: how });
    });
    return this.need(keyOf(manifest));
  }

  /** Takes back the router model that decides; the one before it decides again. @throws REQUEST_INVALID, ROUTER_MODEL_NOT_FOUND, RELEASE_CONFLICT */
  async rollBack(
    { name, version, reason }: Pick<registryV1.RollBackRouterModelRequest, 'name' | 'version' | 'reason'>,
    actor: Actor,
  ): Promise<registryV1.Resource> {
    if (reason.trim() === '')
      throw new ThalamusError('REQUEST_INVALID', 'reason is empty; say why the router model is taken back.', {
        violations: [{ field: 'reason', description: 'is recorded, and required' }],
      });
    let previous = '';
    await this.writer.write({ ...actor, reason }, () => {
      const active = this.find({ name, version });
      if (!active.active) throw notDeciding(active, this.view.activeRouterModel(active.task));
      previous = active.activation?.previous ?? '';
      if (previous === '')
        throw new ThalamusError(
          'RELEASE_CONFLICT',
          `No router model decided for ${active.task} before ${routerName(active)}; promote another one instead ("thalamus router promote").`,
        );
      const [ownName = '', ownVersion = ''] = previous.split('@');
      const next = this.find({ name: ownName, version: ownVersion });
      const how = givenBack(next, active, reason.trim(), this.now());
      return this.decides({ ...next, active: true, activation: how });
    });
    return this.need(`router-model/${previous}`);
  }

  /** What makes a router model the one that decides: first it, then the others no longer, so that somebody always does. */
  private decides(next: registryV1.RouterModel): Change[] {
    const others = this.view
      .routerModels()
      .filter((other) => other.active && other.task === next.task && keyOf(other) !== keyOf(next));
    return [changeTo(next), ...others.map((other) => changeTo({ ...other, active: false }))];
  }

  private find(wanted: { readonly name: string; readonly version: string }): registryV1.RouterModel {
    const value = this.view.get(keyOf(wanted))?.value;
    if (value?.case === 'routerModel') return value.value;
    throw new ThalamusError(
      'ROUTER_MODEL_NOT_FOUND',
      `There is no router model ${routerName(wanted)}; "thalamus router list" shows those that there are.`,
    );
  }

  /** The same as it is registered. @throws REVISION_CONFLICT when with other content */
  private known(manifest: RouterManifest, digest: Digest): registryV1.RouterModel | undefined {
    const value = this.view.get(keyOf(manifest))?.value;
    if (value?.case !== 'routerModel') return undefined;
    if (value.value.manifestDigest === digest) return value.value;
    throw new ThalamusError(
      'REVISION_CONFLICT',
      `${keyOf(manifest)} is registered already with other content; give the new model a new version.`,
    );
  }

  private async read(digest: Digest): Promise<RouterManifest> {
    const bytes = await readArtifact(this.artifacts, digest, MAX_MANIFEST_BYTES);
    const manifest = parseRouterManifest(bytes, digest);
    for (const file of manifest.files) await needArtifact(this.artifacts, `sha256:${file.sha256}`, file.path);
    const { encoder } = manifest;
    await needArtifact(this.artifacts, encoder.digest, `the encoder ${encoder.name}`);
    return manifest;
  }

  private async comparison(digestText: string): Promise<StoredComparison> {
    const digest = parseDigest(digestText);
    const bytes = await readArtifact(this.artifacts, digest, MAX_COMPARISON_BYTES);
    return {
      digest,
      report: parseRouterReport(Buffer.from(bytes).toString('utf8'), `The comparison ${digest}`),
    };
  }

  private need(key: string): registryV1.Resource {
    const resource = this.view.get(key);
    if (!resource) throw new ThalamusError('INTERNAL', `${key} is missing after it was written.`);
    return resource;
  }
}

function factsOf(manifest: RouterManifest, digest: Digest): registryV1.RouterModel {
  return create(registryV1.RouterModelSchema, {
    name: manifest.name,
    version: manifest.version,
    task: manifest.task,
    manifestDigest: digest,
    encoderDigest: manifest.encoder.digest,
    candidates: manifest.candidates.map(({ expert }) => expert),
    lossUnit: manifest.lossUnit,
  });
}

function activationOf(known: registryV1.RouterModel | undefined): Pick<registryV1.RouterModel, 'activation'> {
  return known?.activation ? { activation: known.activation } : {};
}

function changeTo(value: registryV1.RouterModel): Change {
  return { key: keyOf(value), value: { case: 'routerModel', value } };
}

/** Why, for the audit. */
function whyOf(reason: string, comparison: StoredComparison | undefined): string {
  if (!comparison) return reason.trim();
  const { digest, report } = comparison;
  const compared = `The comparison ${digest} ${report.gate.status}.`;
  return reason.trim() === '' ? compared : `${reason.trim()} ${compared}`;
}

function notDeciding(
  model: registryV1.RouterModel,
  active: registryV1.RouterModel | undefined,
): ThalamusError {
  const now = active ? `${routerName(active)} does` : 'none does';
  return new ThalamusError(
    'RELEASE_CONFLICT',
    `${routerName(model)} does not decide for ${model.task} and cannot be taken back; ${now}.`,
  );
}
