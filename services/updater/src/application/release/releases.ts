import { timestampMs } from '@bufbuild/protobuf/wkt';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { counter } from '@thalamus/telemetry';
import {
  expertAfter,
  GATE,
  isLive,
  stateName,
  type ReleaseRecord,
} from '../../domain/release/release-states.js';
import type { Actor, Change, RegistryWriter } from '../registry-writer.js';

/** Releases that have ended and are remembered; the oldest beyond are forgotten when another begins. */
export const MAX_ENDED = 200;

type View = Pick<RegistryView, 'list' | 'get' | 'expert' | 'version' | 'onChange'>;

/** Releases of an expert, or of all, newest first. */
export function releasesOf(view: Pick<RegistryView, 'list'>, expert = ''): ReleaseRecord[] {
  return view
    .list('release/')
    .flatMap(({ value }) => (value.case === 'release' && isWhole(value.value) ? [value.value] : []))
    .filter((release) => expert === '' || release.expert === expert)
    .sort((a, b) => beganMs(b) - beganMs(a) || (a.id < b.id ? -1 : 1));
}

/** @throws RELEASE_CONFLICT while a release of the expert is live: only the release may change what callers get. */
export function refuseWhileLive(view: Pick<RegistryView, 'list'>, expert: string, what: string): void {
  const live = releasesOf(view, expert).find(({ details }) => isLive(details.state));
  if (!live) return;
  throw new ThalamusError(
    'RELEASE_CONFLICT',
    `${what} stays as it is while the release ${live.id} of ${expert}@${live.toVersion} is ${live.state}; promote it or roll it back first.`,
    { metadata: { release: live.id, state: live.state } },
  );
}

/** Releases as the registry keeps them. Each change is one write: the release, and the channels of its expert with it. */
export class Releases {
  constructor(
    readonly view: View,
    private readonly writer: Pick<RegistryWriter, 'write' | 'requireLeader'>,
  ) {}

  /** Newest first. */
  list(expert = ''): ReleaseRecord[] {
    return releasesOf(this.view, expert);
  }

  /** Those that may still change what callers get. */
  live(): ReleaseRecord[] {
    return this.list().filter(({ details }) => isLive(details.state));
  }

  /** @throws RESOURCE_NOT_FOUND */
  find(id: string): ReleaseRecord {
    const value = this.view.get(`release/${id}`)?.value;
    if (value?.case === 'release' && isWhole(value.value)) return value.value;
    throw new ThalamusError(
      'RESOURCE_NOT_FOUND',
      id === ''
        ? 'release_id is empty; name a release, "thalamus release list" shows them.'
        : `No release ${id} exists; "thalamus release list" shows them.`,
    );
  }

  /** @throws NOT_LEADER */
  requireLeader(): void {
    this.writer.requireLeader();
  }

  /** Writes a release that `make` decides to begin, and forgets ended ones that are too many. @throws RELEASE_CONFLICT */
  async begin(actor: Actor, make: () => ReleaseRecord): Promise<ReleaseRecord> {
    let begun: ReleaseRecord | undefined;
    await this.writer.write(actor, () => {
      begun = make();
      refuseWhileLive(this.view, begun.expert, 'The expert');
      const forgotten = this.list()
        .filter(({ details }) => !isLive(details.state))
        .slice(MAX_ENDED - 1)
        .map(({ id }): Change => ({ key: `release/${id}`, value: undefined }));
      return [...this.changes(undefined, begun), ...forgotten];
    });
    return this.written(begun?.id ?? '', 0);
  }

  /**
   * Moves a release as `decide` says on what it then is; undefined leaves it. What is `beside` is written with it, or not at all.
   * @throws what `decide` and `beside` throw, NOT_LEADER
   */
  async move(
    id: string,
    actor: Actor,
    decide: (release: ReleaseRecord) => ReleaseRecord | undefined,
    beside: () => readonly Change[] = () => [],
  ): Promise<ReleaseRecord> {
    let known = 0;
    await this.writer.write(actor, () => {
      const release = this.find(id);
      known = release.details.history.length;
      const next = decide(release);
      return next ? [...beside(), ...this.changes(release, next)] : [];
    });
    return this.written(id, known);
  }

  /** Writes a release anew that `decide` has renewed; nothing of it is for the audit. */
  async renew(
    id: string,
    actor: Actor,
    decide: (release: ReleaseRecord) => ReleaseRecord | undefined,
  ): Promise<void> {
    await this.writer.write(actor, () => {
      const next = decide(this.find(id));
      return next ? [{ key: `release/${id}`, value: { case: 'release', value: next }, isRoutine: true }] : [];
    });
  }

  /** The release as it was written, its new transitions counted. */
  private written(id: string, known: number): ReleaseRecord {
    const release = this.find(id);
    for (const { state, by } of release.details.history.slice(known))
      counter(METRICS.releaseTransitions).add(1, {
        [ATTRIBUTES.releaseState]: stateName(state),
        [ATTRIBUTES.reason]: by === GATE ? 'gate' : 'person',
      });
    return release;
  }

  private changes(before: ReleaseRecord | undefined, after: ReleaseRecord): Change[] {
    const expert = this.view.expert(after.expert);
    const release: Change = { key: `release/${after.id}`, value: { case: 'release', value: after } };
    if (!expert) return [release];
    const next = expertAfter(expert, before?.details.state ?? after.details.state, after);
    const isSame = (['stable', 'candidate', 'shadow'] as const).every(
      (field) => next[field] === expert[field],
    );
    if (isSame) return [release];
    return [release, { key: `expert/${after.expert}`, value: { case: 'expert', value: next } }];
  }
}

/** The sentence for what is no longer live. */
export function hasEnded({ id, expert, toVersion, state }: ReleaseRecord): ThalamusError {
  const text =
    state === 'STABLE'
      ? `${expert}@${toVersion} of the release ${id} is stable already.`
      : `The release ${id} has ended: it is ${state}. Start another one.`;
  return new ThalamusError('RELEASE_CONFLICT', text, { metadata: { release: id, state } });
}

function isWhole(value: { readonly details?: unknown }): value is ReleaseRecord {
  return value.details !== undefined;
}

function beganMs({ details }: ReleaseRecord): number {
  const at = details.history[0]?.at;
  return at ? timestampMs(at) : 0;
}
