import { timestampDate } from '@bufbuild/protobuf/wkt';
import { importBundle, isDigest, ROUTER_MANIFEST, type ArtifactStore } from '@thalamus/bundle';
import { parseRouterReport } from '@thalamus/compatibility';
import type { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { table } from '../output.js';
import { AS_CLI, withArtifacts, withRegistry } from '../registry-client.js';
import { readText } from '../release/text-file.js';

const VERSION_NAME = /^([a-z0-9][a-z0-9-]*)@(\d+)$/;

/** Options of `router promote`. */
export interface PromoteRouterOptions extends CommonOptions {
  readonly comparison?: string;
  readonly reason?: string;
}

/** Options of `router rollback`. */
export interface RollBackRouterOptions extends CommonOptions {
  readonly reason: string;
}

/** Prints the router models of the mesh. */
export async function listRouters(options: CommonOptions): Promise<void> {
  const models = (await modelsOf(options)).sort(
    (a, b) =>
      (a.task < b.task ? -1 : Number(a.task > b.task)) ||
      Number(b.active) - Number(a.active) ||
      (nameOf(a) < nameOf(b) ? -1 : 1),
  );
  outputOf(options).answer(models.map(routerJson), () =>
    models.length === 0
      ? ['No router models.']
      : table([
          ['router model', 'task', 'decides', 'since', 'before it', 'why'],
          ...models.map((model) => {
            const { since, previous, why } = routerJson(model);
            return [
              nameOf(model),
              model.task,
              model.active ? 'yes' : 'no',
              since ?? '-',
              previous ?? '-',
              why,
            ];
          }),
        ]),
  );
}

/** Makes a router model the one that decides for its task. @throws RELEASE_CONFLICT, ROUTER_MODEL_NOT_FOUND, BUNDLE_INVALID, DATASET_INVALID */
export async function promoteRouter(model: string, options: PromoteRouterOptions): Promise<void> {
  const { comparison, reason = '' } = options;
  const shown = readComparison(comparison);
  const manifestDigest = await digestOf(model, options);
  const comparisonDigest = await storedComparison(shown, options);
  const request = { routerModel: { manifestDigest }, activate: true, comparisonDigest, reason };
  const answer = await withRegistry(options, (registry) => registry.registerRouterModel(request, AS_CLI));
  tell(answer.routerModel, options);
}

/** Takes a router model back. @throws RELEASE_CONFLICT, ROUTER_MODEL_NOT_FOUND */
export async function rollBackRouter(model: string, options: RollBackRouterOptions): Promise<void> {
  const { name, version } = parseName(model);
  const request = { name, version, reason: options.reason };
  const answer = await withRegistry(options, (registry) => registry.rollBackRouterModel(request, AS_CLI));
  tell(answer.routerModel, options);
}

function tell(resource: registryV1.Resource | undefined, options: CommonOptions): void {
  if (resource?.value.case !== 'routerModel')
    throw new ThalamusError('INTERNAL', 'The updater answered without a router model; try again.');
  const model = resource.value.value;
  const { previous, rolledBack } = routerJson(model);
  const instead = rolledBack ?? previous;
  outputOf(options).answer(routerJson(model), () => [
    `${nameOf(model)} decides for ${model.task} now${instead === null ? '' : `, in the place of ${instead}`}.`,
  ]);
}

/** A router model as one JSON value; null where there is nothing to say. */
function routerJson(model: registryV1.RouterModel) {
  const { name, version, task, active, manifestDigest, candidates, activation } = model;
  const said = (text: string | undefined) => (text === undefined || text === '' ? null : text);
  const comparison = said(activation?.comparisonDigest);
  const reason = said(activation?.reason);
  return {
    ...{ name, version, task, active, digest: manifestDigest, candidates },
    since: activation?.at ? timestampDate(activation.at).toISOString() : null,
    previous: said(activation?.previous),
    rolledBack: said(activation?.rolledBack),
    ...{ comparison, reason },
    why: reason ?? (comparison === null ? '-' : `comparison ${comparison.slice(0, 19)}… passed`),
  };
}

async function modelsOf(options: CommonOptions): Promise<registryV1.RouterModel[]> {
  const { resources } = await withRegistry(options, (registry) =>
    registry.listResources({ kind: 'router-model' }, AS_CLI),
  );
  return resources.flatMap(({ value }) => (value.case === 'routerModel' ? [value.value] : []));
}

/** Digest of the manifest: of a folder, which is stored first, or of what is registered. */
async function digestOf(model: string, options: CommonOptions): Promise<string> {
  if (existsSync(join(model, ROUTER_MANIFEST)))
    return (await withArtifacts(options, (store) => importBundle(model, store))).digest;
  const { name, version } = parseName(model);
  const found = (await modelsOf(options)).find((own) => own.name === name && own.version === version);
  if (found) return found.manifestDigest;
  throw new ThalamusError(
    'ROUTER_MODEL_NOT_FOUND',
    `No router model ${model} is registered; "thalamus router list" shows those that are, and a folder of one is taken too.`,
  );
}

function parseName(model: string): { readonly name: string; readonly version: string } {
  const [, name, version] = VERSION_NAME.exec(model) ?? [];
  if (name !== undefined && version !== undefined) return { name, version };
  throw new ThalamusError(
    'CONFIG_INVALID',
    `${model} is neither a folder with ${ROUTER_MANIFEST} nor name@version of a router model; "thalamus router list" shows those of the mesh.`,
  );
}

type ShownComparison = { readonly digest: string } | { readonly text: string } | undefined;

/** Told before anything is stored. @throws CONFIG_INVALID, DATASET_INVALID for a file that is no comparison */
function readComparison(comparison: string | undefined): ShownComparison {
  if (comparison === undefined) return undefined;
  if (isDigest(comparison)) return { digest: comparison };
  const text = readText(comparison);
  parseRouterReport(text, comparison);
  return { text };
}

async function storedComparison(shown: ShownComparison, options: CommonOptions): Promise<string> {
  if (shown === undefined) return '';
  if ('digest' in shown) return shown.digest;
  const put = (store: ArtifactStore) => store.put(Buffer.from(shown.text));
  return (await withArtifacts(options, put)).digest;
}

function nameOf({ name, version }: Pick<registryV1.RouterModel, 'name' | 'version'>): string {
  return `${name}@${version}`;
}
