import { timestampMs } from '@bufbuild/protobuf/wkt';
import { registryV1 } from '@thalamus/contracts';
import type { RegistryView, ResidencyView } from '@thalamus/registry';
import type { Candidate, Properties } from '@thalamus/routing';

const DAY_MS = 86_400_000;

/** Experts of the registry as candidates of a decision. Task and fit are left to the filters, so that rejections are counted. */
export class Candidates {
  constructor(
    private readonly view: RegistryView,
    private readonly residency: ResidencyView,
    private readonly now: () => number = Date.now,
  ) {}

  /** All experts; `fitted` gives the version that the router model's head was fitted on. */
  list(fitted: ReadonlyMap<string, string>): Candidate[] {
    return this.view.experts().map((expert) => {
      const version = this.view.version(expert.name, expert.stable);
      return {
        expert: expert.name,
        version: expert.stable,
        fittedVersion: fitted.get(expert.name),
        task: expert.task,
        licence: version?.licence ?? '',
        trust: version?.trust ?? 0,
        parameterCount: Number(version?.parameterCount ?? 0n),
        maxTokens: version?.maxTokens ?? 0,
        tenants: expert.tenants,
        healthy: this.healthy(expert.name, version),
        properties: version ? this.properties(version) : {},
      };
    });
  }

  /** Known to be down only when a host said that it could not load it; silence is not failure. */
  private healthy(expert: string, version: registryV1.ExpertVersion | undefined): boolean | undefined {
    if (!version || version.kind === registryV1.ExpertKind.UPSTREAM) return undefined;
    const records = this.residency
      .all()
      .filter((record) => record.expert === expert && record.version === version.version);
    if (records.some(({ state }) => state === 'ready')) return true;
    return records.length > 0 && records.every(({ state }) => state === 'failed') ? false : undefined;
  }

  private properties(version: registryV1.ExpertVersion): Properties {
    return {
      // 0 is what upstreams say whose size nobody knows.
      ...(version.flopsPerToken > 0 ? { size: version.flopsPerToken } : {}),
      cost: version.priceInputUsdPerMtok,
      security: 1 - version.trust,
      ...(version.releasedAt
        ? { recency: Math.max(0, (this.now() - timestampMs(version.releasedAt)) / DAY_MS) }
        : {}),
    };
  }
}
