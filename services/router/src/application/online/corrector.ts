import { METRICS } from '@thalamus/contracts';
import type { Campaign, EventBus, FencedWriter } from '@thalamus/events';
import type { RegistryView } from '@thalamus/registry';
import { checkCorrectionSettings, checkDriftSettings } from '@thalamus/routing';
import { counter, createLogger } from '@thalamus/telemetry';
import { CorrectorTerm, type CorrectorParts } from './corrector-term.js';

const ROLE = 'route-corrector';

/** One router of all replicas is elected to turn feedback into corrections; all of them read what it writes. */
export class Corrector {
  readonly name = 'corrector';
  private campaign: Campaign | undefined;
  private term: CorrectorTerm | undefined;
  private ending: Promise<void> = Promise.resolve();
  private stopFollowing: (() => void) | undefined;
  private readonly logger = createLogger('corrector');

  constructor(
    private readonly bus: EventBus,
    private readonly registry: RegistryView,
    private readonly parts: CorrectorParts,
    private readonly address: () => string,
  ) {
    checkCorrectionSettings(parts.settings.correction);
    checkDriftSettings(parts.settings.drift);
  }

  async start(): Promise<void> {
    counter(METRICS.routeOutcomes).add(0);
    counter(METRICS.driftAlarms).add(0);
    // A reset is to be obeyed at once.
    this.stopFollowing = this.registry.onChange((key) => {
      if (key.startsWith('policy/')) this.term?.sweep(Date.now());
    });
    this.campaign = await this.bus.campaign({
      role: ROLE,
      candidate: this.address(),
      onElected: (writer, term) => this.rise(writer, term),
      onRevoked: (reason) => {
        this.logger.warn({ reason }, 'no longer the corrector');
        this.fall();
      },
    });
  }

  async drain(): Promise<void> {
    this.stopFollowing?.();
    this.fall();
    await this.ending;
    await this.campaign?.resign();
  }

  /** Address of the elected corrector; empty when there is none. */
  get leaderAddress(): string {
    return this.campaign?.leader() ?? '';
  }

  get isLeader(): boolean {
    return this.term !== undefined;
  }

  private async rise(writer: FencedWriter, term: bigint): Promise<void> {
    const begun = new CorrectorTerm(this.parts, writer);
    // Known at once: who is revoked while an earlier term still ends has to end this one too.
    this.term = begun;
    await this.ending;
    await begun.begin();
    if (this.term !== begun) return;
    this.logger.info({ term: String(term) }, 'elected corrector');
  }

  private fall(): void {
    const { term } = this;
    this.term = undefined;
    if (term) this.ending = this.ending.then(() => term.end()).catch(() => undefined);
  }
}
