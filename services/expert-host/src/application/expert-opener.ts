import {
  readLowRankAdapter,
  type ArtifactStore,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { InferenceRuntime } from '@thalamus/inference';
import { CheckedBundles } from './checked-bundles.js';
import { addHead, deltaExpert, isDeltaTask } from './delta-experts.js';
import { restAfter } from './load-retries.js';
import { openStanding } from './open-standing.js';
import { embeddingWidth, ResidentBase, type BaseSettings } from './resident-base.js';
import type { MeasuredProcesses } from './memory-count.js';
import type { ServedExpert } from './served-expert.js';
import { keyOf } from './slot.js';
import { EmbeddingExpert } from './text-experts.js';

/** What the opener needs. */
export interface OpenerOptions extends BaseSettings {
  readonly cacheFolder: string;
  /** Whether the bundle of a digest may be opened. @throws SIGNATURE_REFUSED */
  readonly vet?: (digest: string) => void;
}

/** What bytes are needed for. */
export interface Need {
  /** name@version */
  readonly of: string;
  readonly bytes: number;
  /** Digest of the base that it stands on, or that it is. */
  readonly base?: string;
  /** Whether it gets a process of its own. */
  readonly startsProcess?: boolean;
}

/** Room that was made. */
export interface Room {
  /** What it was made for is loaded. */
  loaded(): void;
}

/** How a load gets room for what it loads, before it does. */
export interface MakeRoom {
  /** @throws EXPERT_OVERLOADED when there is none */
  make(need: Need): Promise<Room>;
  /** Waits for what another load has begun. */
  behind<T>(work: Promise<T>): Promise<T>;
}

/** Gives every model with a graph of its own a process of its own, and a base one for all that stands on it. */
export interface InferenceProcesses extends MeasuredProcesses {
  /** `name` is what lists of processes show. */
  open(name: string): InferenceRuntime;
}

type Bundle = OpenedBundle<ExpertManifest>;

const DELTA_KINDS: ReadonlySet<registryV1.ExpertKind> = new Set([
  registryV1.ExpertKind.PROBE,
  registryV1.ExpertKind.LOWRANK,
]);

/** How long a base that could not be loaded is not tried again: all that stand on it fail with it, milliseconds. */
const BASE_RETRY_MS = 500;

/** Turns registered versions into experts that can answer: fetches, checks, loads, and shares bases among heads. */
export class ExpertOpener {
  private readonly bases = new Map<string, Promise<ResidentBase>>();
  /** Bases in memory and their digests, those that are being freed among them. */
  private readonly resident = new Map<ResidentBase, string>();
  /** Bases under what could not be loaded, kept for what is loaded next. */
  private readonly held: { readonly digest: string; readonly base: ResidentBase }[] = [];
  private readonly bundles: CheckedBundles;
  private opened = 0;

  constructor(
    store: ArtifactStore,
    private readonly processes: InferenceProcesses,
    private readonly options: OpenerOptions,
  ) {
    this.bundles = new CheckedBundles(store, options.cacheFolder);
  }

  /** The bases in memory: digest, name of the process, and bytes of weights. */
  residentBases(): { readonly digest: string; readonly name: string; readonly memoryBytes: number }[] {
    return [...this.resident].map(([{ memoryBytes, manifest }, digest]) => ({
      digest,
      name: `${manifest.name}@${manifest.version}`,
      memoryBytes,
    }));
  }

  /** Digest of the base that a version stands on: its own for a base; undefined for one that stands alone. */
  baseOf({ kind, baseDigest, manifestDigest }: registryV1.ExpertVersion): string | undefined {
    if (DELTA_KINDS.has(kind)) return baseDigest;
    return this.bases.has(manifestDigest) ? manifestDigest : undefined;
  }

  /** Name of the inference process that a loaded version runs in; empty for one whose base is not in memory. */
  processOf(version: registryV1.ExpertVersion): string {
    const digest = this.baseOf(version);
    if (digest === undefined) return keyOf(version);
    for (const [base, its] of this.resident) if (its === digest) return nameOf(base);
    return '';
  }

  /** Fetches, checks and loads a version. Nothing of it stays when that fails. @throws what the loading throws */
  async open(version: registryV1.ExpertVersion, makeRoom: MakeRoom): Promise<ServedExpert> {
    if (!DELTA_KINDS.has(version.kind)) return this.openStanding(version, makeRoom);
    // Held already while the expert is read: a base without a user may be freed.
    const base = await this.holdBase(version.baseDigest, makeRoom);
    return this.openDelta(version, base, makeRoom);
  }

  /** Lets go of bases that only failed loads hold; true when there was one. */
  async letHeldGo(): Promise<boolean> {
    const held = this.held.splice(0);
    for (const { digest, base } of held) await this.letGo(digest, base);
    return held.length > 0;
  }

  private async openStanding(version: registryV1.ExpertVersion, makeRoom: MakeRoom): Promise<ServedExpert> {
    const digest = version.manifestDigest;
    const bundle = await this.fetch(version);
    const summary = await this.bundles.summary(bundle);
    const { kind, task } = bundle.manifest;
    const canBeBase = embeddingWidth(summary) !== undefined && bundle.has('tokenizer.json');
    if (kind === 'full' && task === 'feature-extraction' && canBeBase) {
      const base = await this.holdBase(digest, makeRoom, bundle);
      const hasStates = summary.outputs.some(({ name }) => name === 'last_hidden_state');
      return new EmbeddingExpert(bundle.manifest, base, hasStates, () => this.letGo(digest, base));
    }
    const need = { of: nameOf(bundle), bytes: bundle.sizeBytes, startsProcess: true };
    const room = await makeRoom.make(need);
    const runtime = this.processes.open(nameOf(bundle));
    const expert = await openStanding({ bundle, summary }, runtime, this.options);
    room.loaded();
    return expert;
  }

  private async openDelta(
    version: registryV1.ExpertVersion,
    base: ResidentBase,
    makeRoom: MakeRoom,
  ): Promise<ServedExpert> {
    const id = `${version.expert}@${version.version}#${(this.opened += 1)}`;
    const remove = async () => {
      await base.heads.remove(id);
      await base.maskedHeads.remove(id);
      await base.adapters.remove(id);
    };
    try {
      const bundle = await this.fetchDelta(version);
      const { manifest } = bundle;
      const besides = manifest.task === 'fill-mask' ? await base.maskedHeads.missingBytes() : 0;
      const isLowRank = manifest.kind === 'lowrank';
      // Everything is read before anything changes.
      const head = await addHead(bundle, base);
      const adapter = isLowRank ? await readLowRankAdapter(bundle) : undefined;
      // Padded, it is larger than its file.
      const row = adapter ? await base.adapters.bytesFor(adapter) : 0;
      await makeRoom.make({
        of: nameOf(bundle),
        bytes: Math.max(bundle.sizeBytes, row) + besides,
        base: version.baseDigest,
      });
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
      this.held.push({ digest: version.baseDigest, base });
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
    return bundle;
  }

  /** The base of a digest, which is the caller's to let go; once more when another let it go before the caller could hold it. */
  private async holdBase(digest: string, makeRoom: MakeRoom, bundle?: Bundle): Promise<ResidentBase> {
    for (;;) {
      const base = await this.base(digest, makeRoom, bundle);
      if (base.retain()) return base;
    }
  }

  /** The base of a digest, loaded once. */
  private base(digest: string, makeRoom: MakeRoom, bundle?: Bundle): Promise<ResidentBase> {
    const known = this.bases.get(digest);
    if (known) return makeRoom.behind(known);
    const startedAt = performance.now();
    const opening = this.openBase(digest, makeRoom, bundle);
    this.bases.set(digest, opening);
    opening.catch((fault: unknown) => {
      const forget = () => {
        if (this.bases.get(digest) === opening) this.bases.delete(digest);
      };
      const error = toThalamusError(fault);
      const pauseMs = Math.max(BASE_RETRY_MS, restAfter(error, performance.now() - startedAt));
      // Room may be made at any moment.
      if (error.code === 'EXPERT_OVERLOADED') forget();
      else setTimeout(forget, pauseMs).unref();
    });
    return opening;
  }

  private async openBase(digest: string, makeRoom: MakeRoom, bundle?: Bundle): Promise<ResidentBase> {
    const checked = bundle ?? (await this.fetchDigest(digest));
    const need = { of: nameOf(checked), bytes: checked.sizeBytes, base: digest, startsProcess: true };
    const room = await makeRoom.make(need);
    const summary = await this.bundles.summary(checked);
    const runtime = this.processes.open(nameOf(checked));
    const base = await ResidentBase.open(checked, summary, runtime, this.options);
    this.resident.set(base, digest);
    room.loaded();
    return base;
  }

  private async letGo(digest: string, base: ResidentBase): Promise<void> {
    if (!base.drop()) return;
    // Before the first wait, so that nobody gets a base that is being freed.
    this.bases.delete(digest);
    try {
      await base.release();
    } finally {
      this.resident.delete(base);
    }
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
    return this.bundles.open(digest);
  }
}

function nameOf({ manifest }: Pick<Bundle, 'manifest'>): string {
  return `${manifest.name}@${manifest.version}`;
}
