import type { GateEvidence, MeasuredFigure } from '@thalamus/compatibility';
import type { releaseV1 } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import type { ResidencyView } from '@thalamus/registry';
import { createLogger } from '@thalamus/telemetry';
import { standingsOf, type Standings } from '../../domain/release/gate-standings.js';
import { isLive, type ReleaseRecord } from '../../domain/release/release-states.js';
import type { ReleaseGates } from './release-gates.js';

/** What rules about live traffic look at. */
export interface LiveFigures {
  /** By shadow, canary and probes; undefined while traffic is being read, and where there is none. */
  figures(release: ReleaseRecord): GateEvidence['figures'];
}

/** How the rules of a release's gate stand, from the registry, live traffic and the memory of the hosts. */
export class JudgeGate {
  private readonly logger = createLogger('release-gate');
  private readonly told = new Map<string, string>();

  constructor(
    private readonly gates: ReleaseGates,
    private readonly live: LiveFigures,
    private readonly residency: Pick<ResidencyView, 'fleet'>,
  ) {}

  /** Why the release cannot be judged now, in one sentence; empty when it can, or has no gate. */
  async obstacle(release: ReleaseRecord): Promise<string> {
    try {
      await this.gates.read(release);
      this.told.delete(release.id);
      return '';
    } catch (fault) {
      const { code, message } = toThalamusError(fault);
      const reason = `The gate ${release.details.gate?.name ?? ''} cannot be read: ${message}`;
      if (this.told.get(release.id) !== code)
        this.logger.error({ release: release.id, code, reason }, 'a release cannot be judged by its gate');
      this.told.set(release.id, code);
      return reason;
    }
  }

  /** The gate of a release with its rules as they stand now; undefined when it has none. */
  shown(release: ReleaseRecord): releaseV1.ReleaseGate | undefined {
    const { gate } = release.details;
    return gate && { ...gate, rules: this.standings(release)?.shown ?? gate.rules };
  }

  /** The release with what is known of its rules, to be kept in the registry when it moves. */
  kept(release: ReleaseRecord): ReleaseRecord {
    const { details } = release;
    const rules = this.standings(release)?.kept;
    if (!details.gate || !rules) return release;
    return { ...release, details: { ...details, gate: { ...details.gate, rules } } };
  }

  private standings(release: ReleaseRecord): Standings | undefined {
    const document = this.gates.of(release);
    if (!document || !isLive(release.details.state)) return undefined;
    return standingsOf(document, release.details, this.figures(release));
  }

  private figures(release: ReleaseRecord): GateEvidence['figures'] {
    const figures = this.live.figures(release);
    const memoryRatio = this.memory(release);
    if (!figures || !memoryRatio) return figures;
    return {
      ...figures,
      shadow: { ...figures['shadow'], memoryRatio },
      canary: { ...figures['canary'], memoryRatio },
    };
  }

  /** Mean resident memory of the processes of the candidate over that of the stable version, on the hosts that say. */
  private memory({ expert, fromVersion, toVersion }: ReleaseRecord): MeasuredFigure | undefined {
    const processes = this.residency.fleet().flatMap(({ memory }) => memory?.processes ?? []);
    const meanOf = (version: string) => {
      const own = processes.filter(
        ({ name, residentBytes }) => name === `${expert}@${version}` && residentBytes > 0n,
      );
      const total = own.reduce((sum, { residentBytes }) => sum + Number(residentBytes), 0);
      return { mean: total / own.length, n: own.length };
    };
    const [before, after] = [meanOf(fromVersion), meanOf(toVersion)];
    if (before.n === 0 || after.n === 0) return undefined;
    return { value: after.mean / before.mean, n: Math.min(before.n, after.n) };
  }
}
