import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Actor, RegistryWriter } from './registry-writer.js';
import { refuseWhileLive } from './release/releases.js';

const FIELDS = {
  [registryV1.Channel.STABLE]: 'stable',
  [registryV1.Channel.CANDIDATE]: 'candidate',
  [registryV1.Channel.SHADOW]: 'shadow',
} as const;

/** Points a channel of an expert at a version, or clears candidate or shadow. Another stable version needs a reason. */
export class SetChannel {
  constructor(
    private readonly view: RegistryView,
    private readonly writer: RegistryWriter,
  ) {}

  async run(
    request: Pick<registryV1.SetChannelRequest, 'expert' | 'channel' | 'version' | 'expectedRevision'>,
    actor: Actor,
  ): Promise<registryV1.Resource> {
    if (request.channel === registryV1.Channel.UNSPECIFIED) {
      throw new ThalamusError('REQUEST_INVALID', 'channel is missing; it is stable, candidate or shadow.', {
        violations: [{ field: 'channel', description: 'stable, candidate or shadow' }],
      });
    }
    const field = FIELDS[request.channel];
    const key = `expert/${request.expert}`;
    await this.writer.write(actor, () => {
      const expert = this.view.expert(request.expert);
      if (!expert) throw new ThalamusError('EXPERT_NOT_FOUND', `No expert ${request.expert} is registered.`);
      if (request.version === '' && field === 'stable')
        throw new ThalamusError(
          'REQUEST_INVALID',
          'The stable channel cannot be cleared; name a version, or remove the expert.',
        );
      if (request.version !== '' && !this.view.version(request.expert, request.version)) {
        throw new ThalamusError(
          'EXPERT_NOT_FOUND',
          `${request.expert} has no version ${request.version}; it has ${this.view
            .versions(request.expert)
            .map(({ version }) => version)
            .join(', ')}.`,
        );
      }
      if (expert[field] === request.version && request.expectedRevision === undefined) return [];
      refuseWhileLive(this.view, request.expert, `Its ${field} channel`);
      if (field === 'stable' && expert.stable !== request.version) needReason(expert, request.version, actor);
      const next = { ...expert, [field]: request.version };
      if (field === 'stable' && expert.candidate === request.version) next.candidate = '';
      return [{ key, value: { case: 'expert', value: next }, expectedRevision: request.expectedRevision }];
    });
    const resource = this.view.get(key);
    if (!resource) throw new ThalamusError('EXPERT_NOT_FOUND', `${request.expert} was removed meanwhile.`);
    return resource;
  }
}

/** Who moves what all callers get without a release says why. @throws REQUEST_INVALID */
function needReason({ name, stable }: registryV1.Expert, version: string, { reason = '' }: Actor): void {
  if (reason.trim() !== '') return;
  throw new ThalamusError(
    'REQUEST_INVALID',
    `All callers of ${name} would get ${name}@${version} in the place of ${name}@${stable} at once: give the reason for it, which is recorded, or begin a release ("thalamus release start ${name} ${version}").`,
    { violations: [{ field: 'reason', description: 'must not be empty where the stable version changes' }] },
  );
}
