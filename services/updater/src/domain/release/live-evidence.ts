import type { GateDocument, GateEvidence } from '@thalamus/compatibility';
import type { eventsV1, releaseV1 } from '@thalamus/contracts';
import { GateTests, type NamedTest } from './gate-tests.js';
import type { ReleaseRecord } from './release-states.js';
import { liveReading } from './live-reading.js';
import { LiveTests } from './live-tests.js';
import { flipOf, isUsed, lossOf } from './judge-feedback.js';
import type { ProbeEvidence } from './probe-evidence.js';
import { ReadingHistory } from './reading-history.js';
import { RequestWindow, type SeenRequest } from './request-window.js';

/** Requests that feedback may still speak of. */
const WINDOW = 50_000;
/** Feedback about requests that are not known (yet): most of it is of other experts. */
const EARLY = 10_000;
/** A version that was just loaded is slow at first: so many of its times say nothing. */
const WARM_UP = 20;
const MAX_DISAGREEMENTS = 1_000;
/** Errors that say nothing of a version. */
const NOT_OF_VERSION: ReadonlySet<string> = new Set(['CANCELLED', 'RATE_LIMITED', 'EXPERT_OVERLOADED']);

/** A mirrored request that got different answers. No text. */
export interface Disagreement {
  readonly requestId: string;
  readonly stable: string;
  readonly candidate: string;
  readonly errorCode: string;
}

/**
 * What live traffic and labelled probes say of a candidate, from the events of its release since it first got any: always-valid
 * tests, so that it may be looked at after every event and acted on at once. No clock, no bus: whoever reads the same events again
 * knows the same.
 */
export class LiveEvidence {
  private readonly own: LiveTests;
  private readonly rules: GateTests;
  private readonly window = new RequestWindow(WINDOW);
  private readonly early = new RequestWindow(EARLY);
  private readonly counts = { mirrored: 0, stable: 0, candidate: 0, feedback: 0, probed: 0, step: 0 };
  private readonly warm = { mirror: 0, candidate: 0 };
  private readonly history = new ReadingHistory();
  private isShadow = false;
  private stepBeganMs = 0;
  private step = '';
  readonly disagreements: Disagreement[] = [];

  /** @param gate that of the release, when it has one */
  constructor(
    private readonly release: ReleaseRecord,
    gate?: GateDocument,
  ) {
    this.rules = new GateTests(gate);
    this.own = new LiveTests(release);
  }

  /** Samples that come from a moment on, Unix milliseconds, count for a state or step. */
  inStep(step: string, isShadow: boolean, beganMs: number): void {
    if (this.step === step) return;
    this.step = step;
    this.isShadow = isShadow;
    this.stepBeganMs = beganMs;
    this.counts.step = 0;
  }

  /** A request that both versions answered. */
  mirrored(event: eventsV1.ShadowCompared, atMs: number): void {
    if (event.stableVersion !== this.release.fromVersion || event.candidateVersion !== this.release.toVersion)
      return;
    const { candidateErrorCode: errorCode, stableLabel: stable, candidateLabel: candidate, agree } = event;
    if (NOT_OF_VERSION.has(errorCode)) return;
    this.counts.mirrored += 1;
    if (this.isShadow && atMs >= this.stepBeganMs) this.counts.step += 1;
    if (!agree) {
      this.disagreements.push({ requestId: event.requestId, stable, candidate, errorCode });
      if (this.disagreements.length > MAX_DISAGREEMENTS) this.disagreements.shift();
    }
    this.own.mirrorErrors.add(errorCode !== '');
    this.rules.see('shadow', 'errorRate', errorCode !== '');
    if (errorCode !== '') return;
    // Texts that are made differ by a word without being wrong: only labels are held against each other.
    if (stable !== '' && candidate !== '') {
      this.own.disagreement.add(!agree);
      this.rules.see('shadow', 'disagreement', !agree);
    }
    if (++this.warm.mirror > WARM_UP && event.stableMs > 0 && event.candidateMs > 0) this.timed(event);
    const request = this.requestOf(event);
    request.mirror = { agree, stable, candidate };
    this.judge(request);
    this.note();
  }

  private timed({ stableMs, candidateMs }: eventsV1.ShadowCompared): void {
    const allowed = stableMs * (1 + this.own.plan.latencyTolerance);
    this.own.mirrorLatency.add(allowed, candidateMs);
    this.rules.see('shadow', 'slower', allowed === candidateMs ? undefined : candidateMs > allowed);
    this.rules.took('shadow', '', 'candidate', candidateMs);
    this.rules.took('shadow', '', 'stable', stableMs);
  }

  /** A request that one of the versions answered. */
  completed(event: eventsV1.RequestCompleted, atMs: number): void {
    // Whoever names a version gets it: that is not left to chance.
    if (event.expert !== this.release.expert || event.channel === 'pinned') return;
    const failed = event.candidateErrorCode;
    const arm = failed === '' ? this.armOf(event.version) : 'candidate';
    const errorCode = failed === '' ? event.errorCode : failed;
    if (!arm || NOT_OF_VERSION.has(errorCode)) return;
    this.counts[arm] += 1;
    if (!this.isShadow && arm === 'candidate' && atMs >= this.stepBeganMs) this.counts.step += 1;
    this.own.armErrors.add(arm, event.operation, errorCode === '' ? 0 : 1);
    if (arm === 'candidate') {
      // Where every caller gets the candidate there is none to pair it with.
      this.own.failures.add(failed !== '' && event.errorCode === '');
      this.rules.see('canary', 'errorRate', errorCode !== '');
    }
    if (errorCode === '') this.answered(arm, event);
    this.note();
  }

  private answered(arm: 'stable' | 'candidate', event: eventsV1.RequestCompleted): void {
    const ms = event.timingsMs['infer'] ?? event.timingsMs['total'];
    const isWarm = arm === 'stable' || ++this.warm.candidate > WARM_UP;
    if (ms !== undefined && isWarm) {
      const held = arm === 'stable' ? ms * (1 + this.own.plan.latencyTolerance) : ms;
      this.rules.see('canary', 'slower', this.own.armLatency.add(arm, event.operation, held));
      this.rules.took('canary', event.operation, arm, ms);
    }
    const request = this.requestOf(event);
    request.arm = arm;
    request.label = event.answerLabel;
    request.operation = event.operation;
    this.judge(request);
  }

  /** How good an answer was. It may come before the request that it speaks of. */
  given({ tenant, requestId, score, label }: eventsV1.FeedbackGiven): void {
    const known = this.window.get(tenant, requestId);
    const request = known ?? this.early.of(tenant, requestId);
    request.feedback = { score, label };
    if (known) this.judge(known);
    this.note();
  }

  /** A labelled item that both versions were asked. In SHADOW it is a sample, as a mirrored request is; in CANARY only callers are. */
  probed(event: eventsV1.ProbeAnswered): void {
    if (event.stableVersion !== this.release.fromVersion || event.candidateVersion !== this.release.toVersion)
      return;
    const isFlip = this.probes?.take(event);
    if (isFlip === undefined) return;
    this.counts.probed += 1;
    // None comes before SHADOW: whenever they were answered, they are of it.
    if (this.isShadow) this.counts.step += 1;
    this.rules.see('probes', 'flips', isFlip);
    this.note();
  }

  private note(): void {
    const { mirrored, stable, candidate, feedback, probed } = this.counts;
    this.history.note(mirrored + stable + candidate + feedback + probed, () => this.reading);
  }

  /** Undefined for a release without probes. */
  get probes(): ProbeEvidence | undefined {
    return this.own.probes;
  }

  /** True once a limit is broken. Cheap enough for every event. */
  get isBroken(): boolean {
    return this.tests().some(([, { alarm }]) => alarm);
  }

  get reading(): releaseV1.LiveReading {
    return liveReading(this.counts, this.tests());
  }

  /** Readings on the way, thinned out, oldest first, and the present one. */
  get readings(): readonly releaseV1.LiveReading[] {
    return [...this.history.readings, this.reading];
  }

  /** What the rules of the gate about live traffic look at. */
  get figures(): NonNullable<GateEvidence['figures']> {
    return this.rules.figures;
  }

  private tests(): readonly NamedTest[] {
    const own = this.own.readings();
    return [...own.filter(([test]) => !this.rules.replaces(test)), ...this.rules.tests];
  }

  /** The request that an event speaks of, with feedback that came before it. */
  private requestOf({
    tenant,
    requestId,
  }: {
    readonly tenant: string;
    readonly requestId: string;
  }): SeenRequest {
    const request = this.window.of(tenant, requestId);
    const early = this.early.get(tenant, requestId);
    if (early?.feedback && !request.feedback) request.feedback = early.feedback;
    return request;
  }

  /** Uses feedback once for each test that it can speak for. */
  private judge(request: SeenRequest): void {
    const { feedback, mirror, arm, label = '', operation = '' } = request;
    if (!feedback) return;
    const wasUsed = isUsed(request);
    const isFlip = mirror && !request.isFlipJudged ? flipOf(feedback, mirror) : undefined;
    if (isFlip !== undefined) {
      this.own.flips.add(isFlip);
      request.isFlipJudged = true;
    }
    const loss = arm && !request.isQualityJudged ? lossOf(feedback, label) : undefined;
    if (arm && loss !== undefined) {
      this.rules.see('canary', 'worse', this.own.quality.add(arm, operation, loss));
      request.isQualityJudged = true;
    }
    if (!wasUsed && isUsed(request)) this.counts.feedback += 1;
  }

  private armOf(version: string): 'stable' | 'candidate' | undefined {
    if (version === this.release.toVersion) return 'candidate';
    return version === this.release.fromVersion ? 'stable' : undefined;
  }
}
