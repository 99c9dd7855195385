import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { TOPICS, type releaseV1 } from '@thalamus/contracts';
import { EmbeddedEventBus, encodeEvent, type BusRecord } from '@thalamus/events';
import { waitUntil } from '@thalamus/testing';
import { join } from 'node:path';
import type { clientsOf } from './running-updater.js';

type Clients = ReturnType<typeof clientsOf>;

/** What gateways and hosts say of a release, on the log of an updater in a folder. */
export class ReleaseTraffic {
  private count = 0;

  private constructor(
    readonly bus: EmbeddedEventBus,
    private readonly expert: string,
  ) {}

  static async open(folder: string, expert = 'pico'): Promise<ReleaseTraffic> {
    const bus = new EmbeddedEventBus({ file: join(folder, 'events.sqlite') });
    await bus.start();
    return new ReleaseTraffic(bus, expert);
  }

  close(): Promise<void> {
    return this.bus.close();
  }

  /** A host says that it has a version ready. */
  async hostHas(version: string, state = 'ready', leaseMs = 600_000): Promise<void> {
    const { expert } = this;
    const leaseExpiresAt = timestampFromMs(Date.now() + leaseMs);
    const message = { hostId: 'h1', address: '127.0.0.1:1', expert, version, state, leaseExpiresAt };
    await this.bus.publish([
      encodeEvent(TOPICS.hostResidency, message, { source: '/host', key: `h1/${expert}@${version}` }),
    ]);
  }

  /** A host says what its inference processes take, bytes by the name of the process. */
  async hostTakes(residentBytes: Readonly<Record<string, number>>): Promise<void> {
    const processes = Object.entries(residentBytes).map(([name, bytes]) => ({
      ...{ name, pid: 1, residentBytes: BigInt(bytes) },
    }));
    const leaseExpiresAt = timestampFromMs(Date.now() + 600_000);
    const message = { hostId: 'h1', address: '127.0.0.1:1', leaseExpiresAt, memory: { processes } };
    await this.bus.publish([encodeEvent(TOPICS.hostResidency, message, { source: '/host', key: 'h1' })]);
  }

  /** Mirrored requests of which the candidate answers `wrong` first ones differently; `requestId`s are returned. */
  async mirrored(release: releaseV1.Release, n: number, wrong = 0, candidateMs = 5): Promise<string[]> {
    const ids = Array.from({ length: n }, () => `m${++this.count}`);
    const { id, expert, fromVersion: stableVersion, toVersion: candidateVersion } = release;
    await this.bus.publish(
      ids.map((requestId, at) =>
        encodeEvent(
          TOPICS.shadowCompared,
          {
            ...{
              requestId,
              tenant: 'acme',
              releaseId: id,
              expert,
              stableVersion,
              candidateVersion,
              candidateMs,
            },
            agree: at >= wrong,
            stableLabel: 'a',
            candidateLabel: at < wrong ? 'b' : 'a',
            stableMs: 5,
          },
          { source: '/gateway', key: requestId },
        ),
      ),
    );
    return ids;
  }

  /** Requests that a version answered, with an error code each when they failed. */
  async completed(release: releaseV1.Release, version: string, n: number, errorCode = ''): Promise<string[]> {
    const ids = Array.from({ length: n }, () => `c${++this.count}`);
    await this.bus.publish(ids.map((requestId) => this.request(release, version, requestId, errorCode)));
    return ids;
  }

  /** What the right label was. */
  async feedback(ids: readonly string[], label: string): Promise<void> {
    await this.bus.publish(
      ids.map((requestId) =>
        encodeEvent(
          TOPICS.feedbackGiven,
          { requestId, tenant: 'acme', label },
          { source: '/gateway', key: requestId },
        ),
      ),
    );
  }

  private request(
    { id }: releaseV1.Release,
    version: string,
    requestId: string,
    errorCode: string,
  ): BusRecord {
    const message = {
      ...{ requestId, tenant: 'acme', task: 'text-classification', operation: 'classifications' },
      ...{ expert: this.expert, version, errorCode, releaseId: id, answerLabel: errorCode === '' ? 'a' : '' },
      timingsMs: { infer: 5, total: 6 },
    };
    return encodeEvent(TOPICS.requestCompleted, message, { source: '/gateway', key: requestId });
  }
}

/** The channels of an expert. */
export async function channelsOf({ registry }: Clients, expert = 'pico') {
  const { resource } = await registry.getResource({ key: `expert/${expert}` });
  if (resource?.value.case !== 'expert') throw new Error(`${expert} is no expert`);
  const { stable, candidate, shadow } = resource.value.value;
  return { stable, candidate, shadow };
}

/** Resolves with a release once it is in a state, and a step of CANARY where one is given. */
export async function reached(
  { release }: Clients,
  id: string,
  state: releaseV1.ReleaseState,
  step?: number,
): Promise<releaseV1.Release> {
  let last: releaseV1.Release | undefined;
  await waitUntil(
    `release ${id} reaches ${state}${step === undefined ? '' : `/${step}`}`,
    async () => {
      last = (await release.getRelease({ id })).release;
      return last?.state === state && (step === undefined || last.step === step);
    },
    { timeoutMs: 20_000 },
  );
  return last as releaseV1.Release;
}
