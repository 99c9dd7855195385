import { releaseV1 } from '@thalamus/contracts';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { AS_CLI, withService } from '../registry-client.js';

const RELEASES = { name: 'updater', service: releaseV1.ReleaseService, deadlineMs: 60_000 };

/** Options of `release promote`. */
export interface PromoteOptions extends CommonOptions {
  readonly reason: string;
}

/** Makes a version the stable one. @throws EXPERT_NOT_FOUND */
export async function promote(expert: string, version: string, options: PromoteOptions): Promise<void> {
  await withService(options, RELEASES, (releases) =>
    releases.promote({ expert, version, reason: options.reason }, AS_CLI),
  );
  outputOf(options).answer({ expert, version, channel: 'stable' }, () => [
    `${expert}@${version} is stable now.`,
  ]);
}
