import {
  bundleDigest,
  materialiseBundle,
  openBundle,
  parseDigest,
  type Digest,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { openTrainingBase, type BaseTools, type ExpertVersion, type TrainingBase } from '@thalamus/training';
import { join } from 'node:path';
import { zooFolder } from '../mesh/zoo-index.js';
import { AS_CLI, withArtifacts, withRegistry } from '../registry-client.js';
import { isBundleFolder } from './bundle-folder.js';

/** Where versions and bases are looked for. */
export interface VersionPlaces {
  /** Data folder of the mesh, for versions that are named as NAME@VERSION. */
  readonly mesh: string;
  /** Empty folder for what is fetched from the mesh. */
  readonly fetched: string;
}

/** A version and how it was named. */
interface Found {
  readonly expert: OpenedBundle<ExpertManifest>;
  readonly isOfMesh: boolean;
}

/** Opens versions of experts with their bases: bundles of folders, or registered ones of the mesh. Equal bases are opened once. */
export class VersionOpener {
  private readonly bases = new Map<Digest, TrainingBase>();

  constructor(
    private readonly places: VersionPlaces,
    private readonly tools: BaseTools,
  ) {}

  /**
   * @throws EXPERT_NOT_FOUND, BUNDLE_INVALID for a base that is another than the version names or that cannot be found, CONFIG_INVALID
   * for a name without a version, UPSTREAM_UNAVAILABLE without a mesh
   */
  async open(
    text: string,
    flag: string,
    baseFolder: string | undefined,
    baseFlag: string,
  ): Promise<ExpertVersion> {
    const { expert, isOfMesh } = await this.find(text, flag);
    const wanted = expert.manifest.base;
    if (!wanted) return { expert, base: undefined };
    return { expert, base: await this.openBase(wanted, { text, isOfMesh, baseFolder, baseFlag }) };
  }

  private async find(text: string, flag: string): Promise<Found> {
    if (isBundleFolder(text)) return { expert: await openBundle(text), isOfMesh: false };
    const [, name, version] = /^([^@]+)@([^@]+)$/.exec(text) ?? [];
    if (name === undefined || version === undefined)
      throw new ThalamusError(
        'CONFIG_INVALID',
        `${flag} ${text}: write NAME@VERSION, such as banking77@1, or the folder of a bundle, such as ./${text}.`,
      );
    return { expert: await openBundle(await this.fetch(await this.digestOf(name, version))), isOfMesh: true };
  }

  private async digestOf(name: string, version: string): Promise<Digest> {
    const { resources } = await withRegistry({ data: this.places.mesh }, (registry) =>
      registry.listResources({ kind: 'version' }, AS_CLI),
    );
    const own = resources.flatMap(({ value }) =>
      value.case === 'version' && value.value.expert === name ? [value.value] : [],
    );
    const found = own.find((one) => one.version === version);
    if (found) return parseDigest(found.manifestDigest);
    throw new ThalamusError(
      'EXPERT_NOT_FOUND',
      own.length === 0
        ? `No expert "${name}" exists; "thalamus experts list" shows them.`
        : `${name} has no version ${version}, but ${own.map((one) => one.version).join(', ')}.`,
    );
  }

  private fetch(digest: Digest): Promise<string> {
    return withArtifacts({ data: this.places.mesh }, (store) =>
      materialiseBundle(digest, store, this.places.fetched),
    );
  }

  private async openBase(
    wanted: NonNullable<ExpertManifest['base']>,
    from: {
      readonly text: string;
      readonly isOfMesh: boolean;
      readonly baseFolder: string | undefined;
      readonly baseFlag: string;
    },
  ): Promise<TrainingBase> {
    const digest = parseDigest(wanted.digest);
    const known = this.bases.get(digest);
    if (known) return known;
    const folder = from.baseFolder ?? (await this.folderOf(digest, wanted.name, from));
    const base = await openTrainingBase(folder, this.tools);
    if (base.digest !== digest)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `${from.text} stands on ${wanted.name} ${wanted.digest}, but ${folder} is ${base.manifest.name} ${base.digest}; name the folder of its own base with ${from.baseFlag}.`,
      );
    this.bases.set(digest, base);
    return base;
  }

  private async folderOf(
    digest: Digest,
    name: string,
    {
      text,
      isOfMesh,
      baseFlag,
    }: { readonly text: string; readonly isOfMesh: boolean; readonly baseFlag: string },
  ): Promise<string> {
    const shipped = join(zooFolder(), 'base', 'minilm-l6');
    if ((await bundleDigest(shipped)) === digest) return shipped;
    if (isOfMesh) return this.fetch(digest);
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${text} stands on ${name} ${digest}, which is not the base that is shipped; name its folder with ${baseFlag}.`,
    );
  }
}
