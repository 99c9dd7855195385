import {
  materialiseBundle,
  openBundle,
  parseDigest,
  readLowRankAdapter,
  type ArtifactStore,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { InferenceRuntime } from '@thalamus/inference';
import { addHead, deltaExpert, isDeltaTask } from './delta-experts.js';
import { inspectBundleGraph } from './inspect-bundle.js';
import { openStanding } from './open-standing.js';
import { embeddingWidth, ResidentBase, type BaseSettings } from './resident-base.js';
import type { ServedExpert } from './served-expert.js';
import { EmbeddingExpert } from './text-experts.js';

/** What the opener needs. */
export interface OpenerOptions extends BaseSettings {
  readonly cacheFolder: string;
  readonly memoryLimitBytes: number;
  /** Whether the bundle of a digest may be opened. @throws SIGNATURE_REFUSED */
  readonly vet?: (digest: string) => void;
}

/** Gives every model with a graph of its own a process of its own, and a base one for all that stands on it. */
export interface InferenceProcesses {
  /** `name` is what lists of processes show. */
  open(name: string): InferenceRuntime;
}

/** A version, and what became of opening it. */
export interface OpenOutcome {
  readonly version: registryV1.ExpertVersion;
  readonly served: ServedExpert | ThalamusError;
}

type Bundle = OpenedBundle<ExpertManifest>;

const DELTA_KINDS: ReadonlySet<registryV1.ExpertKind> = new Set([
  registryV1.ExpertKind.PROBE,
  registryV1.ExpertKind.LOWRANK,
]);

/** Turns registered versions into experts that can answer: fetches, checks, loads, and shares bases among heads. */
export class ExpertOpener {
  private readonly bases = new Map<string, Promise<ResidentBase>>();
  private readonly resident = new Set<ResidentBase>();
  private opened = 0;

  constructor(
    private readonly store: ArtifactStore,
    private readonly processes: InferenceProcesses,
    private readonly options: OpenerOptions,
    /** Bytes that the experts which are loaded have for themselves. */
    private readonly ownBytes: () => number,
  ) {}

  /** Bytes of all bases that are loaded. */
  get sharedBytes(): number {
    return [...this.resident].reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  }

  /** Opens versions; each fails alone. What stands on one base holds it together. */
  async open(versions: readonly registryV1.ExpertVersion[]): Promise<OpenOutcome[]> {
    const outcomes: OpenOutcome[] = [];
    const isDelta = ({ kind }: registryV1.ExpertVersion) => DELTA_KINDS.has(kind);
    for (const version of versions.filter((candidate) => !isDelta(candidate)))
      outcomes.push({ version, served: await orError(this.openStanding(version)) });
    const byBase = Map.groupBy(versions.filter(isDelta), ({ baseDigest }) => baseDigest);
    for (const [digest, deltas] of byBase) outcomes.push(...(await this.openDeltas(digest, deltas)));
    return outcomes;
  }

  private async openStanding(version: registryV1.ExpertVersion): Promise<ServedExpert> {
    const digest = version.manifestDigest;
    const bundle = await this.fetch(version);
    const summary = await inspectBundleGraph(bundle);
    const { kind, task } = bundle.manifest;
    const canBeBase = embeddingWidth(summary) !== undefined && bundle.has('tokenizer.json');
    if (kind === 'full' && task === 'feature-extraction' && canBeBase) {
      const base = await this.base(digest, bundle);
      base.retain();
      const hasStates = summary.outputs.some(({ name }) => name === 'last_hidden_state');
      return new EmbeddingExpert(bundle.manifest, base, hasStates, () => this.letGo(digest, base));
    }
    this.reserve(bundle);
    const runtime = this.processes.open(processName(bundle));
    return openStanding({ bundle, summary }, runtime, this.options);
  }

  private async openDeltas(
    baseDigest: string,
    versions: readonly registryV1.ExpertVersion[],
  ): Promise<OpenOutcome[]> {
    const base = await orError(this.base(baseDigest));
    if (ThalamusError.is(base)) return versions.map((version) => ({ version, served: base }));
    // Held until all are read: a base without a user is freed.
    base.retain();
    try {
      const outcomes: OpenOutcome[] = [];
      for (const version of versions)
        outcomes.push({ version, served: await orError(this.openDelta(version, base)) });
      return outcomes;
    } finally {
      await this.letGo(baseDigest, base);
    }
  }

  private async openDelta(version: registryV1.ExpertVersion, base: ResidentBase): Promise<ServedExpert> {
    // Held already while the expert is read: a base without a user may be freed.
    base.retain();
    const id = `${version.expert}@${version.version}#${(this.opened += 1)}`;
    const remove = async () => {
      await base.heads.remove(id);
      await base.maskedHeads.remove(id);
      await base.adapters.remove(id);
    };
    try {
      const bundle = await this.fetchDelta(version);
      const { manifest } = bundle;
      if (manifest.task === 'fill-mask') this.reserve(bundle, await base.maskedHeads.missingBytes());
      const isLowRank = manifest.kind === 'lowrank';
      // Everything is read before anything changes.
      const head = await addHead(bundle, base);
      const adapter = isLowRank ? await readLowRankAdapter(bundle) : undefined;
      const readAdapter = () => readLowRankAdapter(bundle);
      const adapterBytes = adapter ? await base.adapters.add(id, manifest.name, adapter, readAdapter) : 0;
      const bytes = adapterBytes + (await head(id));
      const release = async () => {
        await remove();
        await this.letGo(version.baseDigest, base);
      };
      return deltaExpert(manifest, { id, isLowRank, bytes, release }, base);
    } catch (fault) {
      await remove();
      await this.letGo(version.baseDigest, base);
      throw fault;
    }
  }

  private async fetchDelta(version: registryV1.ExpertVersion): Promise<Bundle> {
    const bundle = await this.fetch(version);
    const { base, kind, task } = bundle.manifest;
    const named = base?.digest ?? '';
    if (named !== version.baseDigest)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `${version.expert}@${version.version} is registered over the base ${version.baseDigest}, but its manifest names ${named}.`,
      );
    if (!isDeltaTask(task))
      throw new ThalamusError(
        'METHOD_UNSUPPORTED',
        `${version.expert} is ${kind} for ${task}; over a base this host serves text-classification and fill-mask.`,
      );
    this.reserve(bundle);
    return bundle;
  }

  /** The base of a digest, loaded once; whoever gets it retains it before the next wait. */
  private base(digest: string, bundle?: Bundle): Promise<ResidentBase> {
    let base = this.bases.get(digest);
    if (!base) {
      base = this.openBase(digest, bundle);
      this.bases.set(digest, base);
      base.catch(() => this.bases.delete(digest));
    }
    return base;
  }

  private async openBase(digest: string, bundle?: Bundle): Promise<ResidentBase> {
    const checked = bundle ?? (await this.fetchDigest(digest));
    this.reserve(checked);
    const summary = await inspectBundleGraph(checked);
    const runtime = this.processes.open(processName(checked));
    const base = await ResidentBase.open(checked, summary, runtime, this.options);
    this.resident.add(base);
    return base;
  }

  private async letGo(digest: string, base: ResidentBase): Promise<void> {
    if (!base.drop()) return;
    // Before the first wait, so that nobody gets a base that is being freed.
    this.bases.delete(digest);
    this.resident.delete(base);
    await base.release();
  }

  /** @throws EXPERT_OVERLOADED when a bundle, and so many bytes besides, would pass the limit */
  private reserve({ manifest, sizeBytes }: Bundle, besides = 0): void {
    const limit = this.options.memoryLimitBytes;
    if (this.sharedBytes + this.ownBytes() + sizeBytes + besides <= limit) return;
    throw new ThalamusError(
      'EXPERT_OVERLOADED',
      `Loading ${manifest.name}@${manifest.version} would pass the memory limit of ${limit} bytes; raise THALAMUS_MEMORY_LIMIT or unload others.`,
    );
  }

  private async fetch(version: registryV1.ExpertVersion): Promise<Bundle> {
    const bundle = await this.fetchDigest(version.manifestDigest);
    const { name, version: number } = bundle.manifest;
    if (name !== version.expert || number !== version.version)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `${version.expert}@${version.version} is registered with the bundle of ${name}@${number}; register that one.`,
      );
    return bundle;
  }

  private async fetchDigest(digest: string): Promise<Bundle> {
    this.options.vet?.(digest);
    return openBundle(await materialiseBundle(parseDigest(digest), this.store, this.options.cacheFolder));
  }
}

function processName({ manifest }: Bundle): string {
  return `${manifest.name}@${manifest.version}`;
}

/** What a piece of work gives, or why it failed. */
function orError<T>(work: Promise<T>): Promise<T | ThalamusError> {
  return work.catch((fault: unknown) => toThalamusError(fault));
}
