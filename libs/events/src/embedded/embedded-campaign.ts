import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { randomUUID } from 'node:crypto';
import type {
  BusRecord,
  Campaign,
  CampaignOptions,
  FencedWriter,
  RecordPosition,
} from '../event-bus.port.js';
import type { LogClient } from './log-client.js';

/** How long a silent leader stays one. */
export const LEADER_LEASE_MS = 3_000;
const RENEW_MS = 700;

/** A candidate for a role on the embedded log: a lease row that is renewed, and a term that fences old writers. */
export class EmbeddedCampaign implements Campaign {
  private readonly holder = randomUUID();
  private timer: NodeJS.Timeout | undefined;
  private term: bigint | undefined;
  private known: string | undefined;
  private asking: Promise<void> | undefined;

  constructor(
    private readonly log: LogClient,
    private readonly options: CampaignOptions,
  ) {}

  async start(): Promise<void> {
    await this.ask();
    this.timer = setInterval(() => void this.ask(), RENEW_MS);
  }

  leader(): string | undefined {
    return this.known;
  }

  async resign(): Promise<void> {
    clearInterval(this.timer);
    await this.asking;
    if (this.term === undefined) return;
    await this.stepDown('resigned');
  }

  private ask(): Promise<void> {
    this.asking ??= this.askOnce().finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  private async askOnce(): Promise<void> {
    try {
      const { leader, term, held } = await this.log.call(
        'campaign',
        this.options.role,
        this.holder,
        this.options.candidate,
        LEADER_LEASE_MS,
      );
      this.known = leader;
      if (this.term !== undefined && (!held || term !== this.term))
        this.lose('the lease lapsed and another was elected');
      if (held && this.term === undefined) this.rise(term);
    } catch (fault) {
      if (this.term !== undefined) this.lose(toThalamusError(fault).message);
    }
  }

  /** The lease is renewed while the elected one gets ready; when it cannot, another gets its turn. */
  private rise(term: bigint): void {
    this.term = term;
    this.options.onElected(this.writer(term), term).catch(async (fault: unknown) => {
      if (this.term === term) await this.stepDown(toThalamusError(fault).message);
    });
  }

  private async stepDown(reason: string): Promise<void> {
    this.lose(reason);
    await this.log.call('resign', this.options.role, this.holder).catch(() => undefined);
  }

  private lose(reason: string): void {
    this.term = undefined;
    this.options.onRevoked(reason);
  }

  private writer(term: bigint): FencedWriter {
    return {
      append: async (records: readonly BusRecord[]): Promise<readonly RecordPosition[]> => {
        if (this.term !== term)
          throw new ThalamusError('LEADERSHIP_LOST', `This process no longer leads ${this.options.role}.`, {
            metadata: { leader: this.known ?? '' },
          });
        return this.log.call('append', records, { role: this.options.role, holder: this.holder, term });
      },
    };
  }
}
