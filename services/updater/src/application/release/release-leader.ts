import { ATTRIBUTES, METRICS, registryV1, releaseV1 } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import type { ResidencyView } from '@thalamus/registry';
import { counter, createLogger, gauge, histogram } from '@thalamus/telemetry';
import { nextMove, type Move, type Situation } from '../../domain/release/next-move.js';
import {
  GATE,
  hasTraffic,
  isLive,
  isRepairing,
  moved,
  stateName,
  type ReleaseRecord,
} from '../../domain/release/release-states.js';
import type { RegistryWriter } from '../registry-writer.js';
import type { AskProbes } from './ask-probes.js';
import type { JudgeGate, LiveFigures } from './judge-gate.js';
import type { Releases } from './releases.js';
import type { RepairRelease } from './repair-release.js';
import { StepHolds, UPDATER, type LeaderClock } from './step-holds.js';
import type { EvidenceOf } from './steer-release.js';

const TICK_MS = 500;
const LIVE_STATES = Object.values(releaseV1.ReleaseState)
  .filter((state) => typeof state === 'number')
  .filter(isLive)
  .map(stateName);

/** What live traffic says of releases. */
export interface LiveGate extends EvidenceOf, LiveFigures {
  /** Keeps to these releases, and forgets others. */
  keepTo(releases: readonly ReleaseRecord[]): void;
  /** What traffic says; undefined while it is being read. */
  reading(release: ReleaseRecord): releaseV1.LiveReading | undefined;
  /** Resolves once all that stands on the bus now is in the readings. @throws when the bus cannot be read */
  catchUp(release: ReleaseRecord): Promise<void>;
  /** Calls back when a limit is found broken, and when all has been read. */
  onAlarm(listener: () => void): void;
  /** When a limit of a release was found broken, monotonic milliseconds; undefined while none is. */
  alarmedAt(release: ReleaseRecord): number | undefined;
  /** Ends reading. */
  close(): Promise<void>;
}

/** Moves live releases on, or back, as their traffic says. The elected writer does it; all that it knows it has from the registry and the log. */
export class ReleaseLeader {
  readonly name = 'releases';
  private readonly clock: LeaderClock = { now: Date.now, monotonic: () => performance.now() };
  private readonly holds: StepHolds;
  private readonly waits = new Map<string, string>();
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stops: (() => void)[] = [];
  private readonly logger = createLogger('releases');

  constructor(
    private readonly releases: Releases,
    private readonly writer: Pick<RegistryWriter, 'isLeader'>,
    private readonly residency: Pick<ResidencyView, 'hostsFor'>,
    private readonly gates: {
      readonly live: LiveGate;
      readonly judge: JudgeGate;
      readonly probes: Pick<AskProbes, 'note'>;
    },
    private readonly repairs: Pick<RepairRelease, 'settle' | 'cancelLeft'>,
  ) {
    this.holds = new StepHolds(releases, this.clock);
  }

  start(): Promise<void> {
    this.gates.live.onAlarm(() => {
      this.wake();
    });
    for (const releaseState of Object.values(releaseV1.ReleaseState).filter(
      (state) => typeof state === 'number',
    ))
      for (const by of ['gate', 'person'])
        if (releaseState !== releaseV1.ReleaseState.UNSPECIFIED)
          counter(METRICS.releaseTransitions).add(0, {
            [ATTRIBUTES.releaseState]: stateName(releaseState),
            [ATTRIBUTES.reason]: by,
          });
    this.stops = [
      gauge(METRICS.releasesLive, () => this.liveByState()),
      gauge(METRICS.releaseWeight, () => this.weights()),
      // Known before gateways send the candidate anything: no event is missed.
      this.releases.view.onChange((key) => {
        if (key.startsWith('release/')) this.keepTo();
      }),
    ];
    this.timer = setInterval(() => {
      this.wake();
    }, TICK_MS);
    return Promise.resolve();
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    for (const stop of this.stops) stop();
    await this.running;
    await this.gates.live.close();
  }

  /** A release with what its leader knows beside the registry. */
  described(release: ReleaseRecord): releaseV1.Release {
    const { details } = release;
    if (!this.writer.isLeader || !isLive(details.state)) return details;
    const live = hasTraffic(details.state) ? this.gates.live.reading(release) : undefined;
    const gate = this.gates.judge.shown(release);
    const notes = [this.waits.get(release.id) ?? '', this.gates.probes.note(release)];
    const waitingFor = notes.filter((text) => text !== '').join(' ');
    return { ...details, waitingFor, ...(live ? { live } : {}), ...(gate ? { gate } : {}) };
  }

  /** Looks at all live releases soon; what comes meanwhile is looked at right after. */
  wake(): void {
    if (this.running) {
      this.again = true;
      return;
    }
    this.running = this.lookAtAll().finally(() => {
      this.running = undefined;
      if (!this.again) return;
      this.again = false;
      this.wake();
    });
  }

  /** One look at all live releases. */
  async lookAtAll(): Promise<void> {
    const live = this.keepTo();
    if (this.writer.isLeader) await this.repairs.cancelLeft().catch(() => undefined);
    for (const id of this.waits.keys()) if (!live.some((release) => release.id === id)) this.forget(id);
    for (const release of live) {
      try {
        await this.lookAt(release);
      } catch (fault) {
        const { code, message } = toThalamusError(fault);
        this.logger.warn({ release: release.id, code, reason: message }, 'a release could not be moved now');
      }
    }
  }

  private keepTo(): ReleaseRecord[] {
    const live = this.writer.isLeader ? this.releases.live() : [];
    this.gates.live.keepTo(live.filter(({ details }) => hasTraffic(details.state)));
    return live;
  }

  private async lookAt(release: ReleaseRecord): Promise<void> {
    if (isRepairing(release.details)) {
      this.waits.set(release.id, await this.repairs.settle(release));
      return;
    }
    // A candidate that cannot be judged by its gate gets no lease, and so no traffic.
    const obstacle = await this.gates.judge.obstacle(release);
    if (obstacle !== '') return void this.waits.set(release.id, obstacle);
    const heldMs = await this.holds.hold(release);
    const move = nextMove(release, this.situation(release, heldMs));
    this.waits.set(release.id, move.kind === 'wait' ? move.reason : '');
    if (move.kind === 'back')
      return this.take(release, move, { state: releaseV1.ReleaseState.ROLLED_BACK, step: 0 });
    if (move.kind !== 'go') return;
    if (hasTraffic(release.details.state)) {
      // What speaks against the candidate may be on its way.
      await this.gates.live.catchUp(release);
      if (nextMove(release, this.situation(release, heldMs)).kind !== 'go') return this.lookAt(release);
    }
    await this.take(release, move, move);
  }

  private situation(whole: ReleaseRecord, heldMs: number): Situation {
    const { expert, fromVersion, toVersion } = whole;
    const { view } = this.releases;
    const candidate = view.version(expert, toVersion);
    const isRemote = candidate?.kind === registryV1.ExpertKind.UPSTREAM;
    return {
      heldMs,
      isReady: isRemote || this.residency.hostsFor(expert, toVersion).length > 0,
      isRegistered: candidate !== undefined && view.version(expert, fromVersion) !== undefined,
      live: this.gates.live.reading(whole),
      rules: this.gates.judge.shown(whole)?.rules ?? [],
    };
  }

  private async take(
    release: ReleaseRecord,
    { reason }: Exclude<Move, { kind: 'wait' }>,
    to: { readonly state: releaseV1.ReleaseState; readonly step: number },
  ): Promise<void> {
    const { id, details } = release;
    const isBack = to.state === releaseV1.ReleaseState.ROLLED_BACK;
    const evidence = await this.gates.live.evidence(release);
    // Of a release that is over nothing is known any more.
    const alarmedAt = this.gates.live.alarmedAt(release);
    const action = isBack ? 'release.RollBack' : 'release.Advance';
    const after = await this.releases.move(id, { ...UPDATER, action, reason }, (now) => {
      // Somebody was faster.
      if (now.details.state !== details.state || now.details.step !== details.step) return undefined;
      return moved(
        this.gates.judge.kept(now),
        to.state,
        { by: GATE, reason, evidence, atMs: this.clock.now() },
        { step: to.step },
      );
    });
    if (isBack && alarmedAt !== undefined)
      histogram(METRICS.releaseReactionDuration).record((performance.now() - alarmedAt) / 1_000);
    this.logger.info({ release: id, from: release.state, to: after.state, reason }, 'a release has moved');
  }

  /** Live releases of every state, zeros included. Replicas that do not lead tell nothing. */
  private liveByState(): [number, Record<string, string>][] {
    if (!this.writer.isLeader) return [];
    const live = this.releases.live();
    return LIVE_STATES.map((state) => [
      live.filter((release) => release.state === state).length,
      { [ATTRIBUTES.releaseState]: state },
    ]);
  }

  /** Weight of the candidate, by expert with a live release. */
  private weights(): [number, Record<string, string>][] {
    const live = this.writer.isLeader ? this.releases.live() : [];
    return live.map(({ weight, expert }) => [weight, { [ATTRIBUTES.expertName]: expert }]);
  }

  private forget(id: string): void {
    this.holds.forget(id);
    this.waits.delete(id);
  }
}
