import type { eventsV1 } from '@thalamus/contracts';
import { TOPICS } from '@thalamus/contracts';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { encodeEvent, type BusRecord } from '@thalamus/events';
import {
  correctionOf,
  decayTo,
  foldOutcome,
  isNegligible,
  lossRange,
  NO_DRIFT,
  watchOutcome,
  type CorrectionSettings,
  type CorrectionState,
  type DriftSettings,
  type DriftState,
  type LossUnit,
} from '@thalamus/routing';
import {
  correctionKey,
  correctionRecord,
  correctionStateOf,
  driftKey,
  driftRecord,
  driftStateOf,
  FOLDED_KEY,
  foldedRecord,
  forgetRecord,
  sinceMsOf,
  type CorrectedHead,
} from '../../domain/correction-records.js';
import { ReadPositions, type ReadRecord } from '../../domain/read-positions.js';

/** How outcomes are folded; what is a loss is a share of the range of the loss unit. */
export interface BookSettings {
  readonly correction: CorrectionSettings;
  readonly drift: DriftSettings;
}

/** One outcome that counts. */
export interface CountedOutcome extends CorrectedHead {
  readonly unit: LossUnit;
  readonly region: number;
  readonly predicted: number;
  readonly observed: number;
  readonly atMs: number;
}

interface Correction {
  readonly head: CorrectedHead;
  readonly region: number;
  readonly state: CorrectionState;
  /** As it was written last. */
  readonly written: number;
}

interface Watch {
  readonly head: CorrectedHead;
  readonly state: DriftState;
  readonly sinceMs: number;
}

/** Share of the bound by which a correction has to have worn off before it is written again. */
const WORTH_WRITING = 0.01;
const SOURCE = '/router';

/**
 * The corrector's books: what outcomes have taught, how far feedback and requests have been read for it, and what of all that is not
 * written yet. Each append says as much of the one as of the other. No clock, no bus.
 */
export class CorrectionBook {
  private readonly corrections = new Map<string, Correction>();
  private readonly watches = new Map<string, Watch>();
  private feedback = new ReadPositions();
  private requests = new ReadPositions();
  /** The books go on from those of an earlier release, which did not say what requests it had seen. */
  private isOfEarlierRelease = false;
  private isReadOn = false;
  private unwritten = new Map<string, BusRecord>();
  private alarms: BusRecord[] = [];

  /** @param unitOf the loss unit of a router model, name@version; undefined where it is not known now. */
  constructor(
    private readonly settings: BookSettings,
    private readonly unitOf: (routerModel: string) => LossUnit | undefined,
    written: ReadonlyMap<string, eventsV1.RouteCorrection>,
  ) {
    for (const [key, record] of written) this.read(key, record);
  }

  /** True for a record of the feedback topic that has been folded in: it came again. */
  hasFolded(feedback: ReadRecord): boolean {
    return this.feedback.has(feedback);
  }

  /** Remembers that feedback has been read, whatever became of it. */
  passed(feedback: ReadRecord): void {
    this.feedback.passed(feedback);
    this.isReadOn = true;
  }

  /** How far both topics have been read is written with the next append, though nothing else is. */
  readsOn(): void {
    this.isReadOn = true;
  }

  /** True for a request that the writer of what the books go on from had seen. */
  hasSeen(request: ReadRecord): boolean {
    return this.isOfEarlierRelease || this.requests.has(request);
  }

  /** Remembers that a request has been seen; written with the next append that something else needs. */
  saw(request: ReadRecord): void {
    this.requests.passed(request);
  }

  /** Everything that was written before has been read: what comes from now on is new. */
  begins(): void {
    this.isOfEarlierRelease = false;
  }

  /** Folds an outcome in; true when it raises the alarm. Another version or router model than before begins anew. */
  fold(outcome: CountedOutcome): boolean {
    const { expert, version, routerModel, unit, region, predicted, observed, atMs } = outcome;
    const head = { expert, version, routerModel };
    const key = correctionKey(expert, region);
    const before = this.corrections.get(key);
    const kept = before && isSame(before.head, head) ? before : undefined;
    const by = this.correctionSettings(unit);
    const state = foldOutcome(kept?.state, { residual: observed - predicted, atMs }, by);
    if (state) this.write(key, { head, region, state, written: 0 }, by);
    this.isReadOn = true;
    return this.watch(head, unit, { predicted, observed }, atMs);
  }

  /**
   * Lets corrections wear off until a moment, and forgets what is over: worn off, of others that serve now, or from before a reset.
   * One whose loss unit is not known now stays as it is written.
   */
  sweep(nowMs: number, resetAtMs: number, serves: (head: CorrectedHead) => boolean): void {
    for (const [key, item] of this.corrections) {
      const state = decayTo(item.state, nowMs, this.settings.correction);
      const isOver = isNegligible(state) || state.sinceMs < resetAtMs || !serves(item.head);
      if (isOver) this.forget(key);
      else this.wearOff(key, { ...item, state });
    }
    for (const [expert, { head, sinceMs }] of this.watches)
      if (sinceMs < resetAtMs || !serves(head)) {
        this.watches.delete(expert);
        this.unwritten.set(driftKey(expert), forgetRecord(driftKey(expert)));
      }
  }

  /** What is not written yet; it counts as written from now on. */
  takeUnwritten(): BusRecord[] {
    if (this.isReadOn) this.unwritten.set(FOLDED_KEY, foldedRecord(this.feedback, this.requests));
    this.isReadOn = false;
    const records = [...this.unwritten.values(), ...this.alarms];
    this.unwritten = new Map();
    this.alarms = [];
    return records;
  }

  private watch(
    head: CorrectedHead,
    unit: LossUnit,
    losses: { readonly predicted: number; readonly observed: number },
    atMs: number,
  ): boolean {
    const before = this.watches.get(head.expert);
    const kept = before && isSame(before.head, head) ? before : { head, state: NO_DRIFT, sinceMs: atMs };
    const by = this.driftSettings(unit);
    const state = watchOutcome(kept.state, losses, by);
    this.watches.set(head.expert, { ...kept, state });
    this.unwritten.set(driftKey(head.expert), driftRecord(head, state, kept.sinceMs));
    const isAlarm = state.alarmAt > 0 && kept.state.alarmAt === 0;
    if (isAlarm) this.alarms.push(alarm(head, unit, state, by, atMs));
    return isAlarm;
  }

  private wearOff(key: string, item: Correction): void {
    const unit = this.unitOf(item.head.routerModel);
    if (unit === undefined) return;
    const by = this.correctionSettings(unit);
    const worn = Math.abs(correctionOf(item.state, by) - item.written);
    if (worn > WORTH_WRITING * by.bound) this.write(key, item, by);
  }

  private write(key: string, item: Correction, by: CorrectionSettings): void {
    const written = correctionOf(item.state, by);
    this.corrections.set(key, { ...item, written });
    this.unwritten.set(key, correctionRecord(item.head, item.region, item.state, written));
  }

  private forget(key: string): void {
    this.corrections.delete(key);
    this.unwritten.set(key, forgetRecord(key));
  }

  private read(key: string, record: eventsV1.RouteCorrection): void {
    const { expert, version, routerModel, drift, regionId: region } = record;
    const head = { expert, version, routerModel };
    if (key === FOLDED_KEY) {
      this.feedback = new ReadPositions(record.folded);
      this.requests = new ReadPositions(record.requests?.partitions);
      this.isOfEarlierRelease = record.requests === undefined;
    } else if (drift)
      this.watches.set(expert, { head, state: driftStateOf(drift), sinceMs: sinceMsOf(record) });
    else this.corrections.set(key, { head, region, state: correctionStateOf(record), written: record.bias });
  }

  private correctionSettings(unit: LossUnit): CorrectionSettings {
    return { ...this.settings.correction, bound: this.settings.correction.bound * lossRange(unit) };
  }

  private driftSettings(unit: LossUnit): DriftSettings {
    return { ...this.settings.drift, tolerance: this.settings.drift.tolerance * lossRange(unit) };
  }
}

function isSame(one: CorrectedHead, other: CorrectedHead): boolean {
  return one.version === other.version && one.routerModel === other.routerModel;
}

function alarm(
  head: CorrectedHead,
  lossUnit: LossUnit,
  state: DriftState,
  { tolerance, runLength }: DriftSettings,
  atMs: number,
): BusRecord {
  const message = {
    ...head,
    lossUnit,
    outcomes: BigInt(state.outcomes),
    predictedLoss: state.predictedSum / state.weight,
    observedLoss: state.observedSum / state.weight,
    tolerance,
    runLength,
    detectedAt: timestampFromMs(atMs),
  };
  return encodeEvent(TOPICS.driftDetected, message, { source: SOURCE, key: head.expert });
}
