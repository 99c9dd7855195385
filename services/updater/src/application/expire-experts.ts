import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { registryV1 } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { createLogger } from '@thalamus/telemetry';
import type { RegistryWriter } from './registry-writer.js';
import type { StoreResources } from './store-resources.js';

const SWEEP_MS = 5_000;
const ACTOR = {
  id: 'updater',
  tenant: 'default',
  action: 'registry.RemoveExpert',
  reason: 'its time to live has passed',
};

/** Removes experts whose time to live has passed. The elected writer does it; others look on. */
export class ExpireExperts {
  readonly name = 'expiry of experts';
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> | undefined;
  private readonly logger = createLogger('expiry');

  constructor(
    private readonly view: Pick<RegistryView, 'experts' | 'get'>,
    private readonly resources: Pick<StoreResources, 'removeExpert'>,
    private readonly writer: Pick<RegistryWriter, 'isLeader'>,
    private readonly now: () => number = Date.now,
  ) {}

  start(): Promise<void> {
    this.timer = setInterval(() => {
      this.sweeping ??= this.sweep().finally(() => {
        this.sweeping = undefined;
      });
    }, SWEEP_MS);
    return Promise.resolve();
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    await this.sweeping;
  }

  /** One look at all experts. One that cannot be removed, because another stands on it, is tried again at the next. */
  async sweep(): Promise<void> {
    if (!this.writer.isLeader) return;
    const due = this.view
      .experts()
      .filter(({ expiresAt }) => expiresAt !== undefined && timestampMs(expiresAt) <= this.now())
      .map(({ name }) => ({ name, revision: this.view.get(`expert/${name}`)?.revision }));
    for (const { name, revision } of due) {
      try {
        // One that is used in this moment has another revision by then, and stays.
        await this.resources.removeExpert(
          create(registryV1.RemoveExpertRequestSchema, { expert: name, expectedRevision: revision }),
          ACTOR,
        );
        this.logger.info({ expert: name }, 'expert removed: its time to live has passed');
      } catch (fault) {
        const { code, message } = toThalamusError(fault);
        this.logger.warn({ expert: name, code, reason: message }, 'an expired expert stays');
      }
    }
  }
}
