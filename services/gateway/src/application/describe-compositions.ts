import {
  COMPOSITION_REPORT,
  MAX_COMPOSITION_BYTES,
  MAX_MANIFEST_BYTES,
  parseCompositionReport,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  type CompositionReport,
  type ExpertManifest,
} from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Caller, RequestScope } from '../domain/caller.js';
import { composedFigures, type ComposedFigures } from '../domain/composed-figures.js';
import type { AskUpdater } from './admin/ask-updater.js';
import { isOpenTo } from './expert-access.js';
import type { ListExperts } from './list-experts.js';
import { hiddenOf, shownNames, type ShownNames } from './shown-names.js';

/** A parent of a composition. */
export interface DescribedParent extends ComposedFigures {
  /** As the caller may read it. */
  readonly name: string;
  readonly version: string;
  /** Undefined when it is not registered any more, or not for the caller to see. */
  readonly registered: registryV1.ExpertVersion | undefined;
}

/** A composed version as a caller may see it. */
export interface DescribedComposition {
  readonly expert: registryV1.Expert;
  readonly version: registryV1.ExpertVersion;
  /** Undefined for a bundle that was composed elsewhere and registered as it is. */
  readonly record: registryV1.Composition | undefined;
  /** In the order of the output `router_weights`. */
  readonly parents: readonly DescribedParent[];
  /** How many of them have a number in place of their name. */
  readonly hidden: number;
}

/** A composed version with what its bundle says. */
export interface JudgedComposition extends DescribedComposition {
  /** How it was made; undefined where the manifest does not say. */
  readonly lineage: ExpertManifest['lineage'];
  /** Undefined where the bundle holds none. */
  readonly report: CompositionReport | undefined;
}

/** The composed versions of the registry, and what was measured when each was made. */
export class DescribeCompositions {
  constructor(
    private readonly list: ListExperts,
    private readonly view: RegistryView,
    private readonly updater: AskUpdater,
  ) {}

  /** Of experts that the caller may use; newest first. */
  run(caller: Caller): DescribedComposition[] {
    const records = new Map(
      this.view.compositions().map((record) => [`${record.expert}@${record.version}`, record]),
    );
    const names = shownNames(this.list, this.view, caller);
    return this.list
      .run(caller)
      .flatMap(({ expert }) =>
        this.view
          .versions(expert.name)
          // One of its versions may be composed of what the stable one is not.
          .filter(({ version }) => isOpenTo(this.view, expert.name, version, caller.tenant))
          .map((version) => ({
            expert,
            version,
            record: records.get(`${expert.name}@${version.version}`),
          })),
      )
      .filter(({ version, record }) => record !== undefined || version.kind === registryV1.ExpertKind.TWIN)
      .map((found) => this.described(found, names))
      .sort(byAge);
  }

  /**
   * One of them, with what its bundle says.
   * @throws RESOURCE_NOT_FOUND; ARTIFACT_CORRUPT, BUNDLE_INVALID for a damaged bundle
   */
  async one(name: string, version: string, scope: RequestScope): Promise<JudgedComposition> {
    const found = this.run(scope.caller).find(
      (own) => own.expert.name === name && own.version.version === version,
    );
    if (!found)
      throw new ThalamusError(
        'RESOURCE_NOT_FOUND',
        `There is no composition ${name}@${version}; GET /admin/v1/compositions lists those that there are.`,
      );
    const { lineage, report } = await this.updater.run(scope, async ({ artifacts }) => {
      const digest = parseDigest(found.version.manifestDigest);
      const manifest = parseExpertManifest(await readArtifact(artifacts, digest, MAX_MANIFEST_BYTES));
      const file = manifest.files.find(({ path }) => path === COMPOSITION_REPORT);
      if (!file) return { lineage: manifest.lineage, report: undefined };
      const bytes = await readArtifact(
        artifacts,
        parseDigest(`sha256:${file.sha256}`),
        MAX_COMPOSITION_BYTES,
      );
      const where = `${COMPOSITION_REPORT} of ${name}@${version}`;
      return { lineage: manifest.lineage, report: parseCompositionReport(bytes, where) };
    });
    if (!report) return { ...found, lineage, report };
    const names = shownNames(this.list, this.view, scope.caller)(parentNames(found.version));
    const renamed = report.parents.map((row) => ({ ...row, name: shown(names, row.name) }));
    return {
      ...found,
      lineage,
      parents: found.parents.map((parent) => judged(parent, renamed)),
      report: { ...report, parents: renamed },
    };
  }

  private described(
    found: Pick<DescribedComposition, 'expert' | 'version' | 'record'>,
    namesOf: ShownNames,
  ): DescribedComposition {
    const names = namesOf(parentNames(found.version));
    const parents = parentsOf(found.version).map(({ name, version }): DescribedParent => ({
      ...composedFigures(found.version.evaluation, name),
      name: shown(names, name),
      version,
      registered: shown(names, name) === name ? this.view.version(name, version) : undefined,
    }));
    return { ...found, parents, hidden: hiddenOf(names) };
  }
}

/** In the order of the graph's weights, which is that of their names. */
function parentsOf({ parents }: registryV1.ExpertVersion): { name: string; version: string }[] {
  return parents
    .map((parent) => {
      const [name = '', version = ''] = parent.split('@');
      return { name, version };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const parentNames = (version: registryV1.ExpertVersion) => parentsOf(version).map(({ name }) => name);

/** A report names nobody that the registry does not: what it should name otherwise has no name. */
const shown = (names: ReadonlyMap<string, string>, name: string) => names.get(name) ?? 'unknown';

/** A parent with the figures of the report, which says more than the registry. */
function judged(parent: DescribedParent, rows: CompositionReport['parents']): DescribedParent {
  const row = rows.find(({ name, version }) => name === parent.name && version === parent.version);
  if (!row) return parent;
  const { n, parentAccuracy, accuracy, parentNats = null, nats = null, normalized, routedHere } = row;
  return { ...parent, n, parentAccuracy, accuracy, parentNats, nats, normalized, routedHere };
}

/** When it was made, seconds of Unix time; 0 where nothing says. */
function madeAt({ record, version }: DescribedComposition): number {
  return Number((record?.createdAt ?? version.releasedAt)?.seconds ?? 0n);
}

function byAge(a: DescribedComposition, b: DescribedComposition): number {
  if (madeAt(a) !== madeAt(b)) return madeAt(b) - madeAt(a);
  if (a.expert.name !== b.expert.name) return a.expert.name < b.expert.name ? -1 : 1;
  return Number(b.version.version) - Number(a.version.version);
}
