import {
  MAX_EVALUATION_BYTES,
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseRouterEvaluation,
  parseRouterManifest,
  readArtifact,
  ROUTER_EVALUATION,
  type RouterEvaluationReport,
} from '@thalamus/bundle';
import type { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { RegistryView } from '@thalamus/registry';
import type { Caller, RequestScope } from '../domain/caller.js';
import type { AskUpdater } from './admin/ask-updater.js';
import type { ListExperts } from './list-experts.js';
import { hiddenOf, shownNames } from './shown-names.js';

/** A registered router model as a caller may see it. */
export interface DescribedRouter {
  readonly model: registryV1.RouterModel;
  /** Experts that it has a head for, by the names that the caller may read. */
  readonly experts: readonly string[];
  /** How many of them the caller may not use: those have a number in place of their name. */
  readonly hidden: number;
}

/** A router model with the report of its bundle. */
export interface JudgedRouter extends DescribedRouter {
  /** Undefined where the bundle holds none. */
  readonly evaluation: RouterEvaluationReport | undefined;
}

/** The router models of the registry, and how well each did where it was judged. */
export class DescribeRouters {
  constructor(
    private readonly list: ListExperts,
    private readonly view: RegistryView,
    private readonly updater: AskUpdater,
  ) {}

  /** By task; the one that decides for it first, then the newest. */
  run(caller: Caller): DescribedRouter[] {
    const nameFor = shownNames(this.list, this.view, caller);
    return this.view
      .routerModels()
      .map((model) => described(model, nameFor(model.candidates)))
      .sort((a, b) => inOrder(a.model, b.model));
  }

  /**
   * The report of one version.
   * @throws ROUTER_MODEL_NOT_FOUND; ARTIFACT_CORRUPT, BUNDLE_INVALID for a damaged bundle
   */
  async evaluation(name: string, version: string, scope: RequestScope): Promise<JudgedRouter> {
    const model = this.view.routerModels().find((own) => own.name === name && own.version === version);
    if (!model)
      throw new ThalamusError(
        'ROUTER_MODEL_NOT_FOUND',
        `There is no router model ${name}@${version}; GET /admin/v1/routers lists those that there are.`,
      );
    const names = shownNames(this.list, this.view, scope.caller)(model.candidates);
    const report = await this.updater.run(scope, async ({ artifacts }) => {
      const manifest = parseRouterManifest(
        await readArtifact(artifacts, parseDigest(model.manifestDigest), MAX_MANIFEST_BYTES),
      );
      const file = manifest.files.find(({ path }) => path === ROUTER_EVALUATION);
      if (!file) return undefined;
      const bytes = await readArtifact(artifacts, parseDigest(`sha256:${file.sha256}`), MAX_EVALUATION_BYTES);
      return parseRouterEvaluation(bytes, `${ROUTER_EVALUATION} of ${name}@${version}`);
    });
    return { ...described(model, names), evaluation: report && renamed(report, names) };
  }
}

function described(model: registryV1.RouterModel, names: ReadonlyMap<string, string>): DescribedRouter {
  return { model, experts: [...names.values()], hidden: hiddenOf(names) };
}

/** A report with other names of experts in it. */
function renamed(report: RouterEvaluationReport, names: ReadonlyMap<string, string>): RouterEvaluationReport {
  const nameOf = (expert: string) => names.get(expert) ?? expert;
  const own = <T extends { readonly expert: string }>(row: T): T => ({ ...row, expert: nameOf(row.expert) });
  return {
    ...report,
    experts: report.experts.map(nameOf),
    baselines: report.baselines.map((row) => ({
      ...row,
      expert: row.expert === null ? null : nameOf(row.expert),
    })),
    choices: report.choices.map(own),
    pareto: report.pareto && { ...report.pareto, experts: report.pareto.experts.map(own) },
    // A set is often named for the expert that was trained on it.
    ...(report.experts.every((expert) => nameOf(expert) === expert)
      ? {}
      : { notes: [], map: { ...report.map, labels: report.map.labels.map((_, at) => `label ${at + 1}`) } }),
  };
}

function inOrder(a: registryV1.RouterModel, b: registryV1.RouterModel): number {
  if (a.task !== b.task) return a.task < b.task ? -1 : 1;
  if (a.active !== b.active) return a.active ? -1 : 1;
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return Number(b.version) - Number(a.version);
}
