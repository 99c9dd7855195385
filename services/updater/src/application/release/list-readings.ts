import { fromJson, type JsonValue } from '@bufbuild/protobuf';
import { parseDigest, readArtifact, type ArtifactStore } from '@thalamus/bundle';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { ReleaseRecord } from '../../domain/release/release-states.js';
import type { Releases } from './releases.js';

const MAX_EVIDENCE_BYTES = 16 * 2 ** 20;
const { SHADOW, CANARY, STABLE, ROLLED_BACK } = releaseV1.ReleaseState;
/** Steps into these rest on live traffic, where there was any. */
const AFTER_TRAFFIC = [SHADOW, CANARY, STABLE, ROLLED_BACK];

/** Where readings of live releases are. */
export interface LiveReadings {
  readings(release: ReleaseRecord): readonly releaseV1.LiveReading[] | undefined;
}

/** What the live tests of a release said on the way: of a live one as it is read, of another by the evidence of its last step. */
export class ListReadings {
  constructor(
    private readonly releases: Pick<Releases, 'find'>,
    private readonly live: LiveReadings,
    private readonly artifacts: ArtifactStore,
  ) {}

  /** @throws RESOURCE_NOT_FOUND, ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT */
  async run(id: string): Promise<readonly releaseV1.LiveReading[]> {
    const release = this.releases.find(id);
    const digest = release.details.history
      .filter(({ state }) => AFTER_TRAFFIC.includes(state))
      .flatMap(({ evidence }) => evidence)
      .at(-1);
    return this.live.readings(release) ?? (digest === undefined ? [] : this.stored(digest));
  }

  private async stored(digest: string): Promise<readonly releaseV1.LiveReading[]> {
    const bytes = await readArtifact(this.artifacts, parseDigest(digest), MAX_EVIDENCE_BYTES);
    try {
      const { readings = [] } = JSON.parse(new TextDecoder().decode(bytes)) as { readings?: JsonValue[] };
      return readings.map((reading) => fromJson(releaseV1.LiveReadingSchema, reading));
    } catch (fault) {
      throw new ThalamusError('ARTIFACT_CORRUPT', `The evidence ${digest} holds no readings of live tests.`, {
        cause: fault,
      });
    }
  }
}
