import { timestampMs } from '@bufbuild/protobuf/wkt';
import { releaseV1, type registryV1 } from '@thalamus/contracts';
import type { ServiceComponent } from '@thalamus/lifecycle';
import type { RegistryView } from '@thalamus/registry';

const RELEASE_KEY = 'release/';
const { SHADOW, CANARY } = releaseV1.ReleaseState;

/** A release that the traffic of its expert is part of. */
export interface LiveRelease {
  readonly id: string;
  readonly expert: string;
  /** Version that is stable while it lasts. */
  readonly fromVersion: string;
  /** The candidate. */
  readonly toVersion: string;
  /** Share of callers who get the candidate, 0 to 1; 0 in shadow. */
  readonly weight: number;
  /** Share of requests to the stable version that the candidate is to answer as well, 0 to 1. */
  readonly mirrorShare: number;
  /** Most of these a second; 0: the gateway's own bound alone. */
  readonly mirrorPerSecond: number;
  /** Unix milliseconds from which on it counts for nothing unless it is renewed. */
  readonly leaseEndsAtMs: number;
}

/**
 * The releases that traffic is part of, by expert: in shadow or canary, their lease not lapsed, and their version before still stable.
 * What the registry says holds from the next request on. Leases are held against the clock of this machine, also while the bus is
 * away: who cannot hear of a rollback does not go on.
 */
export class LiveReleases implements ServiceComponent {
  readonly name = 'live releases';
  private readonly experts = new Map<string, string>();
  private readonly byExpert = new Map<string, readonly LiveRelease[]>();
  private stopFollowing: (() => void) | undefined;

  constructor(
    private readonly view: Pick<RegistryView, 'list' | 'expert' | 'onChange'>,
    private readonly now: () => number = Date.now,
  ) {}

  /** To be called when the view has caught up. */
  start(): Promise<void> {
    for (const { key, value } of this.view.list(RELEASE_KEY)) this.changed(key, value);
    this.stopFollowing = this.view.onChange((key, resource) => {
      if (key.startsWith(RELEASE_KEY)) this.changed(key, resource?.value);
    });
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.stopFollowing?.();
    return Promise.resolve();
  }

  /** The live release of an expert; of several, the one that was heard of last. */
  of(expert: string): LiveRelease | undefined {
    const releases = this.byExpert.get(expert);
    if (!releases) return undefined;
    const now = this.now();
    const stable = this.view.expert(expert)?.stable;
    return releases.find(({ leaseEndsAtMs, fromVersion }) => leaseEndsAtMs > now && fromVersion === stable);
  }

  /** Whether a release is still live, at whatever weight. */
  isLive({ id, expert }: LiveRelease): boolean {
    return this.of(expert)?.id === id;
  }

  private changed(key: string, value: registryV1.Resource['value'] | undefined): void {
    const id = key.slice(RELEASE_KEY.length);
    this.forget(id);
    const release = value?.case === 'release' ? liveOf(id, value.value) : undefined;
    if (!release) return;
    this.experts.set(id, release.expert);
    this.byExpert.set(release.expert, [release, ...(this.byExpert.get(release.expert) ?? [])]);
  }

  private forget(id: string): void {
    const expert = this.experts.get(id);
    if (expert === undefined) return;
    this.experts.delete(id);
    const others = (this.byExpert.get(expert) ?? []).filter((release) => release.id !== id);
    if (others.length === 0) this.byExpert.delete(expert);
    else this.byExpert.set(expert, others);
  }
}

/** Undefined for a release in a state that no traffic is part of, or in one that is not known. */
function liveOf(id: string, summary: registryV1.ReleaseSummary): LiveRelease | undefined {
  const isCanary = summary.state === releaseV1.ReleaseState[CANARY];
  if (!isCanary && summary.state !== releaseV1.ReleaseState[SHADOW]) return undefined;
  const { expert, fromVersion, toVersion, weight, mirrorShare, mirrorPerSecond, leaseExpiresAt } = summary;
  return {
    ...{ id, expert, fromVersion, toVersion, mirrorShare, mirrorPerSecond },
    weight: isCanary ? weight : 0,
    leaseEndsAtMs: leaseExpiresAt ? timestampMs(leaseExpiresAt) : 0,
  };
}
