import { decodeEvent, type EventBus, type Follower, type ReceivedRecord } from '@thalamus/events';
import { EVENT_HEADERS, METRICS, TOPICS, type registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createLogger, gauge } from '@thalamus/telemetry';

/** A change of the view: the resource as it now is, or undefined when it is gone. */
export type RegistryListener = (key: string, resource: registryV1.Resource | undefined) => void;

type ValueOf<K extends string> =
  Extract<registryV1.Resource['value'], { case: K }> extends { value: infer V } ? V : never;

/**
 * Key of the record that keeps the highest revision. Tombstones leave a compacted topic; without this record the
 * revision would fall back when the last change was a removal and the registry is read again from offset zero.
 */
export const REGISTRY_HEAD_KEY = 'head/revision';

const DEFAULT_POLICY_TENANT = 'default';

/**
 * The registry as this process sees it: folded from the state topic from offset zero on. It is not ready before it has
 * caught up, and stops being ready when a record cannot be read: nothing is ever skipped.
 */
export class RegistryView {
  readonly name = 'registry view';
  private readonly resources = new Map<string, registryV1.Resource>();
  private readonly listeners = new Set<RegistryListener>();
  private readonly waiting = new Set<() => void>();
  private follower: Follower | undefined;
  private current = 0n;
  private ready = false;
  private failure: string | undefined;
  private stopGauge: () => void = () => undefined;
  /** The record that the view stopped at. */
  private unreadable: string | undefined;

  constructor(private readonly bus: EventBus) {}

  /** Follows the topic and resolves once caught up. */
  async start(): Promise<void> {
    this.stopGauge = gauge(METRICS.registryRevision, () => [[Number(this.current), {}]]);
    this.follower = await this.bus.follow({
      topic: TOPICS.registryState.name,
      onRecord: (record) => {
        this.apply(record);
      },
      onError: (error) => {
        // A bus that is away comes back, and the follower goes on by itself: what was read until then stands.
        if (!error.spec.retryable) this.failure = error.message;
      },
    });
    await this.follower.caughtUp;
    this.ready = true;
  }

  /** Reads everything that stands now. @throws REGISTRY_NOT_READY when a record cannot be read */
  async refresh(): Promise<void> {
    await this.follower?.catchUp();
    this.requireReadable();
  }

  /** @throws REGISTRY_NOT_READY when a record could not be read: what the view says since then may be wrong. */
  requireReadable(): void {
    if (this.unreadable !== undefined)
      throw new ThalamusError('REGISTRY_NOT_READY', `The ${this.unreadable}.`);
  }

  readiness(): { ready: boolean; reason?: string } {
    const fault = this.unreadable ?? this.failure;
    if (fault !== undefined) return { ready: false, reason: fault };
    return this.ready ? { ready: true } : { ready: false, reason: 'reading the registry from its beginning' };
  }

  async close(): Promise<void> {
    this.stopGauge();
    await this.follower?.stop();
  }

  /** Highest revision seen. */
  get revision(): bigint {
    return this.current;
  }

  /** Number of resources. */
  get size(): number {
    return this.resources.size;
  }

  /** The resource of a key, kind/name. */
  get(key: string): registryV1.Resource | undefined {
    return this.resources.get(key);
  }

  /** Resources whose keys begin so, by key. */
  list(prefix: string): registryV1.Resource[] {
    return [...this.resources.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  expert(name: string): registryV1.Expert | undefined {
    return this.value(`expert/${name}`, 'expert');
  }

  experts(): registryV1.Expert[] {
    return this.values('expert/', 'expert');
  }

  version(expert: string, version: string): registryV1.ExpertVersion | undefined {
    return this.value(`version/${expert}@${version}`, 'version');
  }

  versions(expert: string): registryV1.ExpertVersion[] {
    return this.values(`version/${expert}@`, 'version');
  }

  /** The version of the stable channel. */
  stableVersion(expert: string): registryV1.ExpertVersion | undefined {
    const stable = this.expert(expert)?.stable;
    return stable ? this.version(expert, stable) : undefined;
  }

  /** The router model that decides for a task. */
  activeRouterModel(task: string): registryV1.RouterModel | undefined {
    return this.values('router-model/', 'routerModel').find((model) => model.active && model.task === task);
  }

  routerModels(): registryV1.RouterModel[] {
    return this.values('router-model/', 'routerModel');
  }

  /** The policy of a tenant, else that of `default`. */
  policy(tenant: string): registryV1.Policy | undefined {
    return (
      this.value(`policy/${tenant}`, 'policy') ?? this.value(`policy/${DEFAULT_POLICY_TENANT}`, 'policy')
    );
  }

  apiKey(id: string): registryV1.ApiKey | undefined {
    return this.value(`key/${id}`, 'apiKey');
  }

  compositions(): registryV1.Composition[] {
    return this.values('composition/', 'composition');
  }

  /** The newest version of a data set: versions are decimal numbers, and keys sort as text. */
  dataset(name: string): registryV1.Dataset | undefined {
    return this.values(`dataset/${name}@`, 'dataset')
      .sort((a, b) => Number(a.version) - Number(b.version))
      .at(-1);
  }

  /** Calls the listener for every later change; returns what ends it. */
  onChange(listener: RegistryListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Resolves once the view has seen a revision.
   * @throws REGISTRY_NOT_READY when a record before it cannot be read; DEADLINE_EXCEEDED, or the reason of the signal.
   */
  async waitForRevision(revision: bigint, signal: AbortSignal): Promise<void> {
    while (this.current < revision) {
      this.requireReadable();
      if (signal.aborted) throw signalError(signal, revision, this.current);
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
  }

  private apply(record: ReceivedRecord): void {
    // Nothing is skipped: what follows an unreadable record may rest on it.
    if (this.unreadable !== undefined) return;
    try {
      const resource = decodeEvent(TOPICS.registryState, record);
      const revision = resource?.revision ?? BigInt(record.headers[EVENT_HEADERS.revision] ?? '0');
      if (resource && record.key !== REGISTRY_HEAD_KEY) this.resources.set(record.key, resource);
      else this.resources.delete(record.key);
      if (revision > this.current) this.current = revision;
      if (record.key !== REGISTRY_HEAD_KEY)
        for (const listener of this.listeners) listener(record.key, resource);
    } catch (fault) {
      this.unreadable = `record ${record.offset} of ${record.topic} cannot be read; upgrade this service or mend the topic`;
      createLogger('registry').error(
        { offset: String(record.offset), key: record.key, error: fault },
        'registry record cannot be read',
      );
    }
    for (const wake of [...this.waiting]) wake();
  }

  private value<K extends string>(key: string, kind: K): ValueOf<K> | undefined {
    const value = this.resources.get(key)?.value;
    return value?.case === kind ? (value.value as ValueOf<K>) : undefined;
  }

  private values<K extends string>(prefix: string, kind: K): ValueOf<K>[] {
    return this.list(prefix).flatMap(({ value }) => (value.case === kind ? [value.value as ValueOf<K>] : []));
  }
}

function signalError(signal: AbortSignal, wanted: bigint, seen: bigint): ThalamusError {
  const reason: unknown = signal.reason;
  return ThalamusError.is(reason)
    ? reason
    : new ThalamusError(
        'DEADLINE_EXCEEDED',
        `Revision ${wanted} has not been seen in time; the view is at ${seen}.`,
      );
}
