import type { Probe } from '@thalamus/compatibility';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import type { EventBus } from '@thalamus/events';
import type { ServiceComponent } from '@thalamus/lifecycle';
import { counter, createLogger } from '@thalamus/telemetry';
import { ProbeQueue, type ProbePace } from '../../domain/release/probe-queue.js';
import { hasTraffic, type ReleaseRecord } from '../../domain/release/release-states.js';
import type { RegistryWriter } from '../registry-writer.js';
import { eventOf, OUTCOMES, outcomeOf, type AnsweredProbe, type ProbeOutcome } from './answered-probe.js';
import type { AskLabel } from './labels.port.js';
import type { ProbeFiles } from './probe-files.js';
import type { ReadEvidence } from './read-evidence.js';
import type { Releases } from './releases.js';

/** How often it is looked whether a round is due, milliseconds. */
const TICK_MS = 250;

/** What asking probes stands on. */
export interface ProbeParts {
  readonly releases: Pick<Releases, 'live'>;
  readonly writer: Pick<RegistryWriter, 'isLeader'>;
  readonly evidence: Pick<ReadEvidence, 'answered'>;
  readonly files: Pick<ProbeFiles, 'read'>;
  readonly hosts: AskLabel;
  readonly bus: Pick<EventBus, 'publish'>;
}

/** Pace of each release, and how many items are asked at once. */
export interface ProbeBudget extends ProbePace {
  readonly atOnce: number;
}

/** What is known of a release's probes beside the log. */
interface Asking {
  queue: ProbeQueue | undefined;
  /** Why nothing is asked now; empty while it is. */
  obstacle: string;
  /** When a file that could not be read is read again, monotonic milliseconds. */
  readAtMs: number;
}

/**
 * Asks both versions of live releases for the labels of their probes, round by round, and writes what came of it to the log, from where it is
 * read as evidence. What was answered stands there, so whoever is elected next asks for the rest. What could not be asked says nothing.
 */
export class AskProbes implements ServiceComponent {
  readonly name = 'probes';
  private readonly asking = new Map<string, Asking>();
  private readonly ending = new AbortController();
  private readonly logger = createLogger('probes');
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;

  constructor(
    private readonly parts: ProbeParts,
    private readonly budget: ProbeBudget,
    private readonly monotonic: () => number = () => performance.now(),
  ) {}

  start(): Promise<void> {
    this.timer = setInterval(() => {
      this.running ??= this.round().finally(() => {
        this.running = undefined;
      });
    }, TICK_MS);
    return Promise.resolve();
  }

  async drain(): Promise<void> {
    clearInterval(this.timer);
    this.ending.abort();
    await this.running;
  }

  /** Why probes of a release are not asked now, or which were given up, in one sentence; empty where there is nothing to say. */
  note({ id }: ReleaseRecord): string {
    const { queue, obstacle = '' } = this.asking.get(id) ?? {};
    if (obstacle !== '') return obstacle;
    const { dropped = 0 } = queue ?? {};
    return dropped === 0 ? '' : `Probes that could not be asked, and are not asked again: ${dropped}.`;
  }

  /** One round of each release that it is due for. Never throws. */
  async round(): Promise<void> {
    const live = this.probed();
    for (const id of this.asking.keys())
      if (!live.some((release) => release.id === id)) this.asking.delete(id);
    for (const release of live) {
      try {
        await this.ask(release);
      } catch (fault) {
        const { code, message } = toThalamusError(fault);
        this.tell(release, code, message);
      }
    }
  }

  private probed(): ReleaseRecord[] {
    if (!this.parts.writer.isLeader) return [];
    return this.parts.releases
      .live()
      .filter(({ details }) => details.probes !== undefined && hasTraffic(details.state));
  }

  private async ask(release: ReleaseRecord): Promise<void> {
    const isAnswered = this.parts.evidence.answered(release);
    if (!isAnswered) return;
    const asking = this.asking.get(release.id) ?? { queue: undefined, obstacle: '', readAtMs: -Infinity };
    this.asking.set(release.id, asking);
    asking.queue ??= await this.opened(release, asking);
    const { queue } = asking;
    if (!queue) return;
    const { expert, fromVersion, toVersion } = release;
    const away = [fromVersion, toVersion].find((version) => !this.parts.hosts.canAsk(expert, version));
    if (away !== undefined && queue.left > 0) {
      asking.obstacle = `Probes wait: no host has ${expert}@${away}.`;
      return;
    }
    const items = queue.due(this.monotonic(), isAnswered);
    if (queue.left === 0 && items.length === 0) asking.obstacle = '';
    if (items.length === 0) return;
    const answered = await this.answers(release, items);
    let isWhole = false;
    try {
      await this.written(release, queue, { items, answered });
      asking.obstacle = '';
      isWhole = answered.length === items.length;
    } finally {
      // Also where the log is away: hosts are not to be asked at every look.
      queue.ended(this.monotonic(), isWhole);
    }
  }

  /** The queue of a release; undefined while its file is not to be read yet. */
  private async opened(
    { id, details, expert }: ReleaseRecord,
    asking: Asking,
  ): Promise<ProbeQueue | undefined> {
    if (this.monotonic() < asking.readAtMs) return undefined;
    asking.readAtMs = this.monotonic() + this.budget.everyMs;
    const probes = await this.parts.files.read(details.probes?.digest ?? '');
    // Zeros first: an increase is seen from the first item on.
    for (const outcome of OUTCOMES) this.count(expert, outcome, 0);
    return new ProbeQueue(id, probes, this.budget);
  }

  /** What both versions say of items, so many at once. Those that one of them could not be asked are left out. */
  private async answers(release: ReleaseRecord, items: readonly Probe[]): Promise<AnsweredProbe[]> {
    const waiting = [...items];
    const answered: AnsweredProbe[] = [];
    const work = async () => {
      for (let probe = waiting.shift(); probe; probe = waiting.shift()) {
        const own = await this.answer(release, probe);
        if (own) answered.push(own);
      }
    };
    await Promise.all(Array.from({ length: this.budget.atOnce }, work));
    return answered;
  }

  private async answer(
    { id, expert, fromVersion, toVersion }: ReleaseRecord,
    probe: Probe,
  ): Promise<AnsweredProbe | undefined> {
    const { hosts } = this.parts;
    try {
      const [before, after] = await Promise.all(
        [fromVersion, toVersion].map((version) =>
          hosts.labelOf(expert, version, probe.text, this.ending.signal),
        ),
      );
      return { probe, stableRight: before === probe.label, candidateRight: after === probe.label };
    } catch (fault) {
      // The code alone: nothing that a host says of a text is for the log.
      this.logger.debug({ release: id, code: toThalamusError(fault).code }, 'a probe could not be asked now');
      return undefined;
    }
  }

  /** Writes what was answered to the log; what was not comes again. */
  private async written(
    release: ReleaseRecord,
    queue: ProbeQueue,
    round: { readonly items: readonly Probe[]; readonly answered: readonly AnsweredProbe[] },
  ): Promise<void> {
    const { items, answered } = round;
    const isOver = this.ending.signal.aborted || !this.parts.writer.isLeader;
    if (isOver) {
      queue.back(items);
      return;
    }
    try {
      if (answered.length > 0) await this.parts.bus.publish(answered.map((own) => eventOf(release, own)));
    } catch (fault) {
      queue.back(items);
      throw fault;
    }
    const known = new Set(answered.map(({ probe }) => probe));
    for (const { stableRight, candidateRight } of answered)
      this.count(release.expert, outcomeOf(stableRight, candidateRight), 1);
    for (const probe of items)
      if (!known.has(probe)) this.count(release.expert, queue.failed(probe) ? 'later' : 'dropped', 1);
  }

  private tell(release: ReleaseRecord, code: string, message: string): void {
    const asking = this.asking.get(release.id);
    const obstacle = `Probes wait: ${message}`;
    if (asking?.obstacle === obstacle) return;
    if (asking) asking.obstacle = obstacle;
    this.logger.warn({ release: release.id, code, reason: message }, 'probes cannot be asked just now');
  }

  private count(expert: string, outcome: ProbeOutcome, n: number): void {
    counter(METRICS.releaseProbes).add(n, { [ATTRIBUTES.expertName]: expert, [ATTRIBUTES.outcome]: outcome });
  }
}
