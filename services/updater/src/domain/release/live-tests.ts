import { create } from '@bufbuild/protobuf';
import { PairMonitor, RateMonitor } from '@thalamus/compatibility';
import { releaseV1 } from '@thalamus/contracts';
import { ArmPairs } from './arm-pairs.js';
import type { NamedTest } from './gate-tests.js';
import { ProbeEvidence } from './probe-evidence.js';
import type { ReleaseRecord } from './release-states.js';

/** Tests of traffic; they share the level of the plan, with that of probes where there are any. */
const TESTS = 8;
const EVEN = 0.5;
/** Requests that a candidate may fail and the stable version answer, where `--errors` allows no more: upstreams fail now and then. */
const FAILED_ALONE = 0.1;

/** The always-valid tests of a release, with their limits. */
export class LiveTests {
  readonly plan: releaseV1.ReleasePlan;
  readonly flips: RateMonitor;
  readonly disagreement: RateMonitor;
  readonly mirrorErrors: RateMonitor;
  readonly mirrorLatency: PairMonitor;
  readonly quality: ArmPairs;
  readonly armErrors: ArmPairs;
  readonly armLatency: ArmPairs;
  readonly failures: RateMonitor;
  /** Undefined for a release without probes. */
  readonly probes: ProbeEvidence | undefined;

  constructor({ details }: ReleaseRecord) {
    this.plan = details.plan ?? create(releaseV1.ReleasePlanSchema);
    const isProbed = details.probes !== undefined;
    const level = this.plan.level / (isProbed ? TESTS + 1 : TESTS);
    this.probes = isProbed ? new ProbeEvidence(this.plan.negativeFlipBudget, level) : undefined;
    this.flips = new RateMonitor({ limit: this.plan.negativeFlipBudget, level });
    this.disagreement = new RateMonitor({ limit: this.plan.disagreementLimit, level });
    this.mirrorErrors = new RateMonitor({ limit: this.plan.errorLimit, level });
    this.mirrorLatency = new PairMonitor(level);
    this.quality = new ArmPairs(level);
    this.armErrors = new ArmPairs(level);
    this.armLatency = new ArmPairs(level);
    this.failures = new RateMonitor({ limit: this.failureLimit, level });
  }

  private get failureLimit(): number {
    return Math.max(this.plan.errorLimit, FAILED_ALONE);
  }

  /** What each says now, with the limit that it tests. */
  readings(): readonly NamedTest[] {
    return [
      ['mirror.flips', this.flips.reading, this.plan.negativeFlipBudget],
      ['mirror.disagreement', this.disagreement.reading, this.plan.disagreementLimit],
      ['mirror.errors', this.mirrorErrors.reading, this.plan.errorLimit],
      ['mirror.latency', this.mirrorLatency.reading, EVEN],
      ['canary.quality', this.quality.reading, EVEN],
      ['canary.errors', this.armErrors.reading, EVEN],
      ['canary.latency', this.armLatency.reading, EVEN],
      ['canary.failures', this.failures.reading, this.failureLimit],
      ...(this.probes ? [this.probes.test] : []),
    ];
  }
}
