import { timestampMs } from '@bufbuild/protobuf/wkt';
import { METRICS, registryV1, TOPICS, type eventsV1 } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { decodeEvent, type EventBus, type Follower, type ReceivedRecord } from '@thalamus/events';
import type { RegistryView } from '@thalamus/registry';
import type { Candidate, Prediction } from '@thalamus/routing';
import { createLogger, gauge } from '@thalamus/telemetry';
import { correctionKey, FOLDED_KEY, sinceMsOf } from '../../domain/correction-records.js';

const DEFAULT_TENANT = 'default';

/** What is added to predictions of a router model for a version. */
interface Bias {
  readonly bias: number;
  readonly routerModel: string;
  readonly version: string;
  readonly sinceMs: number;
}

/**
 * Corrections as the elected corrector has written them. A replica takes each as it is written and never works one out, so that
 * those that have read the same records decide the same. A record that cannot be read corrects nothing: decisions go on without it.
 */
export class CorrectionView {
  readonly name = 'correction view';
  private readonly byKey = new Map<string, eventsV1.RouteCorrection>();
  /** Those of the records that correct predictions. */
  private readonly biases = new Map<string, Bias>();
  private follower: Follower | undefined;
  private stopGauge: () => void = () => undefined;
  private readonly logger = createLogger('correction-view');

  constructor(
    private readonly bus: Pick<EventBus, 'follow'>,
    private readonly registry: RegistryView,
  ) {}

  async start(): Promise<void> {
    this.stopGauge = gauge(METRICS.corrections, () => [[this.biases.size, {}]]);
    this.follower = await this.bus.follow({
      topic: TOPICS.routeCorrection.name,
      onRecord: (record) => {
        this.apply(record);
      },
      onError: (error) => {
        this.logger.warn({ code: error.code, reason: error.message }, 'corrections cannot be read just now');
      },
    });
    await this.follower.caughtUp;
  }

  async close(): Promise<void> {
    this.stopGauge();
    await this.follower?.stop();
  }

  /** Reads everything that stands now. */
  async refresh(): Promise<void> {
    await this.follower?.catchUp();
  }

  /** Everything that was written, by key. */
  get records(): ReadonlyMap<string, eventsV1.RouteCorrection> {
    return this.byKey;
  }

  /** True when no prediction is corrected. */
  get isEmpty(): boolean {
    return this.biases.size === 0;
  }

  /** Predictions of a router model, name@version, with what outcomes have taught about each candidate's stable version. */
  correct(
    predictions: ReadonlyMap<string, Prediction>,
    candidates: readonly Candidate[],
    { routerModel, region, tenant }: { routerModel: string; region: number; tenant: string },
  ): ReadonlyMap<string, Prediction> {
    if (this.isEmpty || !this.isAppliedFor(tenant)) return predictions;
    const corrected = new Map(predictions);
    const resetAtMs = this.resetAtMs();
    for (const { expert, version } of candidates) {
      const prediction = predictions.get(expert);
      const found = this.biases.get(correctionKey(expert, region));
      if (!prediction || found?.routerModel !== routerModel || found.version !== version) continue;
      if (found.sinceMs >= resetAtMs) corrected.set(expert, { ...prediction, correction: found.bias });
    }
    return corrected;
  }

  /** Whether decisions of a tenant are made with corrected predictions. */
  isAppliedFor(tenant: string): boolean {
    return this.registry.policy(tenant)?.onlineCorrection !== registryV1.OnlineCorrection.OFF;
  }

  /** Whether feedback of a tenant corrects predictions. */
  learnsFrom(tenant: string): boolean {
    const said = this.registry.policy(tenant)?.onlineCorrection ?? registryV1.OnlineCorrection.ON;
    return said !== registryV1.OnlineCorrection.OFF && said !== registryV1.OnlineCorrection.FROZEN;
  }

  /** What began before this moment is forgotten; 0 when nobody asked for that. Unix milliseconds. */
  resetAtMs(): number {
    const at = this.registry.policy(DEFAULT_TENANT)?.correctionsResetAt;
    return at ? timestampMs(at) : 0;
  }

  private apply(record: ReceivedRecord): void {
    try {
      const correction = decodeEvent(TOPICS.routeCorrection, record);
      this.forget(record.key);
      if (!correction) return;
      this.byKey.set(record.key, correction);
      if (record.key === FOLDED_KEY || correction.drift) return;
      const { bias, routerModel, version } = correction;
      this.biases.set(record.key, { bias, routerModel, version, sinceMs: sinceMsOf(correction) });
    } catch (fault) {
      this.forget(record.key);
      const { code, message } = toThalamusError(fault);
      this.logger.error(
        { code, reason: message, offset: String(record.offset) },
        'a correction cannot be read and corrects nothing',
      );
    }
  }
  private forget(key: string): void {
    this.byKey.delete(key);
    this.biases.delete(key);
  }
}
