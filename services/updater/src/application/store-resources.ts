import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { parseDigest, type ArtifactStore } from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Actor, Change, RegistryWriter } from './registry-writer.js';
import { refuseWhileLive, releasesOf } from './release/releases.js';

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** Writes of the simpler resources: data sets, compositions, policies; and removal of experts. */
export class StoreResources {
  constructor(
    private readonly view: RegistryView,
    private readonly writer: RegistryWriter,
    private readonly artifacts: ArtifactStore,
  ) {}

  async registerDataset(
    { dataset }: registryV1.RegisterDatasetRequest,
    actor: Actor,
  ): Promise<registryV1.Resource> {
    const value = dataset ?? create(registryV1.DatasetSchema);
    const faults: FieldViolation[] = [];
    if (!NAME.test(value.name))
      faults.push({ field: 'dataset.name', description: 'lower-case letters, digits and hyphens' });
    if (!/^[1-9]\d{0,8}$/.test(value.version))
      faults.push({ field: 'dataset.version', description: 'a decimal version' });
    if (value.licence === '') faults.push({ field: 'dataset.licence', description: 'an SPDX identifier' });
    if (!['train', 'validation', 'test'].includes(value.split))
      faults.push({ field: 'dataset.split', description: 'train, validation or test' });
    refuse('The data set', faults);
    this.writer.requireLeader();
    const digest = parseDigest(value.digest);
    if (!(await this.artifacts.stat(digest)))
      throw new ThalamusError(
        'ARTIFACT_NOT_FOUND',
        `${digest} is not stored; put the file into the artifact store first.`,
      );
    const key = `dataset/${value.name}@${value.version}`;
    await this.writer.write(actor, () => {
      const known = this.view.get(key)?.value;
      if (known?.case === 'dataset' && known.value.digest === digest) return [];
      if (known)
        throw new ThalamusError(
          'REVISION_CONFLICT',
          `${key} is registered already with other content; give it a new version.`,
        );
      return [{ key, value: { case: 'dataset', value } }];
    });
    return this.need(key);
  }

  async registerComposition(
    { composition }: registryV1.RegisterCompositionRequest,
    actor: Actor,
  ): Promise<registryV1.Resource> {
    const value = composition ?? create(registryV1.CompositionSchema);
    const key = `composition/${parseDigest(value.recipeDigest)}`;
    await this.writer.write(actor, () => {
      if (!this.view.version(value.expert, value.version))
        throw new ThalamusError(
          'EXPERT_NOT_FOUND',
          `${value.expert}@${value.version} is not registered; register the version first.`,
        );
      if (this.view.get(key)) return [];
      return [
        {
          key,
          value: {
            case: 'composition',
            value: { ...value, createdAt: value.createdAt ?? timestampFromMs(Date.now()) },
          },
        },
      ];
    });
    return this.need(key);
  }

  async putPolicy(
    { policy, expectedRevision }: registryV1.PutPolicyRequest,
    actor: Actor,
  ): Promise<registryV1.Resource> {
    const value = policy ?? create(registryV1.PolicySchema);
    const faults = policyFaults(value);
    for (const expert of [...value.allowedExperts, ...(value.fallbackExpert ? [value.fallbackExpert] : [])]) {
      if (!this.view.expert(expert))
        faults.push({ field: 'policy', description: `the expert ${expert} is not registered` });
    }
    refuse('The policy', faults);
    const key = `policy/${value.tenant}`;
    await this.writer.write(actor, () => [{ key, value: { case: 'policy', value }, expectedRevision }]);
    return this.need(key);
  }

  async removeExpert(
    { expert, expectedRevision }: registryV1.RemoveExpertRequest,
    actor: Actor,
  ): Promise<bigint> {
    await this.writer.write(actor, () => {
      if (!this.view.expert(expert))
        throw new ThalamusError('EXPERT_NOT_FOUND', `No expert ${expert} is registered.`);
      refuseWhileLive(this.view, expert, 'The expert');
      const versions = this.view.versions(expert);
      const digests = new Set(versions.map(({ manifestDigest }) => manifestDigest));
      const user = this.view
        .experts()
        .find(
          (other) =>
            other.name !== expert &&
            this.view
              .versions(other.name)
              .some(
                (version) =>
                  digests.has(version.baseDigest) ||
                  version.parents.some((parent) => parent.split('@')[0] === expert),
              ),
        );
      if (user)
        throw new ThalamusError(
          'REVISION_CONFLICT',
          `${user.name} stands on ${expert}; remove ${user.name} first.`,
        );
      return [
        { key: `expert/${expert}`, value: undefined, expectedRevision },
        ...versions.map((version): Change => ({
          key: `version/${expert}@${version.version}`,
          value: undefined,
        })),
        ...this.view
          .compositions()
          .filter((composition) => composition.expert === expert)
          .map((composition): Change => ({
            key: `composition/${composition.recipeDigest}`,
            value: undefined,
          })),
        ...releasesOf(this.view, expert).map(({ id }): Change => ({
          key: `release/${id}`,
          value: undefined,
        })),
      ];
    });
    return this.view.revision;
  }

  private need(key: string): registryV1.Resource {
    const resource = this.view.get(key);
    if (!resource) throw new ThalamusError('INTERNAL', `${key} is missing after it was written.`);
    return resource;
  }
}

function refuse(what: string, violations: readonly FieldViolation[]): void {
  if (violations.length === 0) return;
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new ThalamusError('REQUEST_INVALID', `${what} is not valid: ${list}.`, { violations });
}

/** What is out of its range. */
function policyFaults(value: registryV1.Policy): FieldViolation[] {
  const faults: FieldViolation[] = [];
  const { risk } = value;
  if (!NAME.test(value.tenant))
    faults.push({ field: 'policy.tenant', description: 'lower-case letters, digits and hyphens' });
  if (value.minTrust < 0 || value.minTrust > 1)
    faults.push({ field: 'policy.min_trust', description: 'between 0 and 1' });
  if (value.requestsPerSecond < 0)
    faults.push({ field: 'policy.requests_per_second', description: '0 or more' });
  if (risk && !(risk.alpha >= 0 && Number.isFinite(risk.alpha)))
    faults.push({ field: 'policy.risk.alpha', description: '0 or more' });
  if (risk && !(risk.delta > 0 && risk.delta < 1))
    faults.push({ field: 'policy.risk.delta', description: 'above 0 and below 1' });
  if (value.correctionsResetAt && value.tenant !== 'default')
    faults.push({
      field: 'policy.corrections_reset_at',
      description: 'holds for all tenants; set it in the policy of default',
    });
  faults.push(...explorationFaults(value.exploration));
  for (const [name, weight] of Object.entries(value.defaultWeights))
    if (!(weight >= 0)) faults.push({ field: `policy.default_weights.${name}`, description: '0 or more' });
  return faults;
}

function explorationFaults(exploration: registryV1.Exploration | undefined): FieldViolation[] {
  if (!exploration) return [];
  const { epsilon, pool, within } = exploration;
  const fault = (field: string, description: string) => ({
    field: `policy.exploration.${field}`,
    description,
  });
  return [
    ...(epsilon >= 0 && epsilon <= 1 ? [] : [fault('epsilon', 'between 0 and 1')]),
    ...(pool >= 1 ? [] : [fault('pool', '1 or more')]),
    ...(within >= 0 && Number.isFinite(within) ? [] : [fault('within', '0 or more')]),
  ];
}
