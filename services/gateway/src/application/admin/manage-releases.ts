import type { JsonObject } from '@bufbuild/protobuf';
import { parseDigest, readArtifact } from '@thalamus/bundle';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import { z } from 'zod';
import type { RequestScope } from '../../domain/caller.js';
import { managesExpert, notYours, runsMesh } from '../../domain/tenancy.js';
import type { ListExperts } from '../list-experts.js';
import type { LiveRelease, LiveReleases } from '../releases/live-releases.js';
import type { AskUpdater } from './ask-updater.js';
import { awaitRevision } from './await-revision.js';

/** A release, and what of it this gateway goes by now. */
export interface DescribedRelease {
  readonly release: releaseV1.Release;
  /** Undefined when traffic is no part of it here: another state, or a lease that has lapsed. */
  readonly live: LiveRelease | undefined;
}

/** What a candidate is repaired with. */
export interface WantedRepair {
  /** name@version. */
  readonly dataset: string;
  /** Other parameters of the job. */
  readonly parameters: JsonObject;
}

/** Which releases. */
export interface ReleaseQuery {
  /** Undefined: of every expert. */
  readonly expert: string | undefined;
  readonly pageSize: number;
  readonly pageToken: string;
}

/** Part of the releases. */
export interface ReleasePage {
  readonly releases: readonly DescribedRelease[];
  /** Undefined when there are no more. */
  readonly nextPageToken: string | undefined;
}

/** Flipped items of the offline comparison, negative ones first. */
export interface ReleaseFlips {
  /** Undefined when the release was not compared offline. */
  readonly digest: string | undefined;
  readonly total: number;
  readonly items: readonly z.infer<typeof flipSchema>[];
}

/** One item that the versions answer differently, one of them rightly. */
export const flipSchema = z.object({
  id: z.string().describe('Of the item in the prediction files.'),
  negative: z.boolean().describe('Right before and wrong now; else the reverse.'),
  label: z.string().describe('The right one.'),
  oldPrediction: z.string(),
  newPrediction: z.string(),
});

const MAX_FLIP_BYTES = 64 * 2 ** 20;
const PAGE = 100;
const MAX_PAGES = 20;
const { COMPARED, REPAIRED } = releaseV1.ReleaseState;

/** Releases, as the updater that steers them tells of them; promotes them and takes them back. */
export class ManageReleases {
  constructor(
    private readonly updater: AskUpdater,
    private readonly view: RegistryView,
    private readonly list: ListExperts,
    private readonly live: Pick<LiveReleases, 'of'>,
  ) {}

  /** Those that the caller may see, newest first; a page may hold fewer than were asked for. */
  async page({ expert = '', pageSize, pageToken }: ReleaseQuery, scope: RequestScope): Promise<ReleasePage> {
    const { releases, nextPageToken } = await this.updater.run(scope, ({ release }, call) =>
      release.listReleases({ expert, pageSize, pageToken }, call),
    );
    const isVisible = this.visibleTo(scope);
    return {
      releases: releases.filter(isVisible).map((release) => this.described(release)),
      nextPageToken: nextPageToken === '' ? undefined : nextPageToken,
    };
  }

  /** @throws RESOURCE_NOT_FOUND also for a release that the caller may not see */
  async one(id: string, scope: RequestScope): Promise<DescribedRelease> {
    return this.described(await this.find(id, scope));
  }

  /** The newest release that makes, or made, a version of an expert stable, or what it was repaired to. @throws RESOURCE_NOT_FOUND */
  async newestOf(expert: string, version: string, scope: RequestScope): Promise<DescribedRelease> {
    let pageToken: string | undefined = '';
    for (let page = 0; page < MAX_PAGES && pageToken !== undefined; page++) {
      const { releases, nextPageToken } = await this.page({ expert, pageSize: PAGE, pageToken }, scope);
      const found = releases.find(
        ({ release: { toVersion, repair } }) => toVersion === version || repair?.replacedVersion === version,
      );
      if (found) return found;
      pageToken = nextPageToken;
    }
    throw new ThalamusError(
      'RESOURCE_NOT_FOUND',
      `There is no release of ${expert}@${version}; begin one with thalamus release start ${expert} ${version}.`,
    );
  }

  /** Moves a live release one state or step on, whatever it waits for. @throws as `promote` */
  async advance(id: string, reason: string, scope: RequestScope): Promise<DescribedRelease> {
    await this.managed(id, scope);
    await this.updater.run(scope, ({ release }, call) => release.advance({ releaseId: id, reason }, call));
    return this.one(id, scope);
  }

  /** Lets rules of the gate that are inconclusive pass, together with others. @throws as `promote` */
  async approve(id: string, reason: string, scope: RequestScope): Promise<DescribedRelease> {
    await this.managed(id, scope);
    await this.updater.run(scope, ({ release }, call) => release.approve({ releaseId: id, reason }, call));
    return this.one(id, scope);
  }

  /** Makes the candidate stable. @throws RESOURCE_NOT_FOUND, PERMISSION_DENIED, and what the updater says */
  async promote(id: string, reason: string, scope: RequestScope): Promise<DescribedRelease> {
    const { expert, toVersion: version } = await this.managed(id, scope);
    const { revision } = await this.updater.run(scope, ({ release }, call) =>
      release.promote({ releaseId: id, expert, version, reason }, call),
    );
    await awaitRevision(this.view, revision, scope);
    return this.one(id, scope);
  }

  /** Has the candidate repaired by a job before callers get it. @throws as `promote` */
  async repair(
    id: string,
    { dataset, parameters }: WantedRepair,
    scope: RequestScope,
  ): Promise<DescribedRelease> {
    await this.managed(id, scope);
    await this.updater.run(scope, ({ release }, call) =>
      release.repair({ releaseId: id, dataset, parameters }, call),
    );
    return this.one(id, scope);
  }

  /** Takes the candidate back. @throws as `promote` */
  async rollBack(id: string, reason: string, scope: RequestScope): Promise<DescribedRelease> {
    await this.managed(id, scope);
    await this.updater.run(scope, ({ release }, call) => release.rollBack({ releaseId: id, reason }, call));
    return this.one(id, scope);
  }

  /**
   * The items that flipped in the offline comparison, which the release names among its evidence.
   * @throws RESOURCE_NOT_FOUND, ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT
   */
  async flips(id: string, most: number, scope: RequestScope): Promise<ReleaseFlips> {
    const { history } = await this.find(id, scope);
    const compared = history.findLast(({ state }) => state === COMPARED || state === REPAIRED);
    const digest = compared?.evidence.at(-1);
    if (digest === undefined) return { digest, total: 0, items: [] };
    const lines = await this.updater.run(scope, async ({ artifacts }) => {
      const bytes = await readArtifact(artifacts, parseDigest(digest), MAX_FLIP_BYTES);
      return new TextDecoder().decode(bytes).split('\n').filter(Boolean);
    });
    const items = lines.slice(0, most).map((line, index) => flipOf(line, `line ${index + 1} of ${digest}`));
    return { digest, total: lines.length, items };
  }

  /** What its live tests said on the way, oldest first. @throws RESOURCE_NOT_FOUND, ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT */
  async readings(id: string, scope: RequestScope): Promise<readonly releaseV1.LiveReading[]> {
    await this.find(id, scope);
    const { readings } = await this.updater.run(scope, ({ release }, call) =>
      release.listReadings({ releaseId: id }, call),
    );
    return readings;
  }

  private described(release: releaseV1.Release): DescribedRelease {
    const live = this.live.of(release.expert);
    return { release, live: live?.id === release.id ? live : undefined };
  }

  private async find(id: string, scope: RequestScope): Promise<releaseV1.Release> {
    const { release } = await this.updater.run(scope, (clients, call) =>
      clients.release.getRelease({ id }, call),
    );
    if (release && this.visibleTo(scope)(release)) return release;
    throw new ThalamusError(
      'RESOURCE_NOT_FOUND',
      `There is no release ${id}; GET /admin/v1/releases lists those that there are.`,
    );
  }

  /** Who runs the mesh sees all of them, others those of experts that they may use. */
  private visibleTo({ caller }: RequestScope): (release: releaseV1.Release) => boolean {
    if (runsMesh(caller)) return () => true;
    const usable = new Set(this.list.run(caller).map(({ expert }) => expert.name));
    return ({ expert }) => usable.has(expert);
  }

  private async managed(id: string, scope: RequestScope): Promise<releaseV1.Release> {
    const release = await this.find(id, scope);
    const tenants = this.view.expert(release.expert)?.tenants ?? [];
    if (!managesExpert(scope.caller, tenants)) throw notYours(release.expert, scope.caller);
    return release;
  }
}

function flipOf(line: string, where: string): z.infer<typeof flipSchema> {
  const read = flipSchema.safeParse(jsonOf(line));
  if (read.success) return read.data;
  throw new ThalamusError(
    'ARTIFACT_CORRUPT',
    `The evidence has no flipped item in ${where}; compare the versions again.`,
  );
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
