import { registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { addBundle } from '../mesh/seed-zoo.js';
import { table } from '../output.js';
import { AS_CLI, withArtifacts, withRegistry } from '../registry-client.js';

/** Prints every expert with its stable version. */
export async function list(options: CommonOptions): Promise<void> {
  const { experts, versions } = await read(options);
  const rows = experts.map((expert) => {
    const stable = versions.find(
      (version) => version.expert === expert.name && version.version === expert.stable,
    );
    return {
      name: expert.name,
      task: expert.task,
      stable: expert.stable,
      kind: kindName(stable?.kind),
      labels: stable?.labelCount ?? 0,
      accuracy: figure(stable, 'accuracy'),
      licence: stable?.licence ?? '',
      ...remoteFacts(stable),
    };
  });
  outputOf(options).answer(rows, () =>
    table([
      ['name', 'stable', 'kind', 'labels', 'test accuracy', 'USD/Mtok in, out', 'licence', 'task'],
      ...rows.map((row) => [
        row.name,
        row.stable || '-',
        row.kind,
        String(row.labels),
        row.accuracy?.toFixed(3) ?? '-',
        priceText(row) ?? '-',
        row.licence,
        row.task,
      ]),
    ]),
  );
}

/** Prints one expert with its versions and their figures. @throws EXPERT_NOT_FOUND */
export async function show(name: string, options: CommonOptions): Promise<void> {
  const { experts, versions } = await read(options);
  const expert = experts.find((item) => item.name === name);
  if (!expert)
    throw new ThalamusError(
      'EXPERT_NOT_FOUND',
      `No expert "${name}" exists; "thalamus experts list" shows them.`,
    );
  const own = versions.filter((version) => version.expert === name);
  const value = {
    name,
    task: expert.task,
    description: expert.description,
    stable: expert.stable,
    candidate: expert.candidate,
    versions: own.map((version) => ({
      version: version.version,
      kind: kindName(version.kind),
      digest: version.manifestDigest,
      base: version.baseDigest,
      labels: version.labelCount,
      parameters: version.parameterCount,
      sizeBytes: version.sizeBytes,
      licence: version.licence,
      parents: version.parents,
      ...remoteFacts(version),
      evaluation: version.evaluation.map(({ dataset, split, metric, value: measured, n }) => ({
        dataset,
        split,
        metric,
        value: measured,
        n,
      })),
    })),
  };
  outputOf(options).answer(value, () => [
    `${name}   ${expert.task}, stable ${expert.stable || '-'}${expert.candidate ? `, candidate ${expert.candidate}` : ''}`,
    `  ${expert.description}`,
    ...value.versions.flatMap((version) => [
      '',
      `  version ${version.version}   ${version.kind}, ${version.labels} labels, ${version.parameters} parameters, ${version.licence}`,
      `    ${version.digest}`,
      ...(version.upstream
        ? [
            `    ${version.upstream.model} at ${version.upstream.baseUrl}, ${priceText(version) ?? ''} USD/Mtok in, out`,
          ]
        : []),
      ...version.evaluation.map(
        (row) => `    ${row.dataset} ${row.split} ${row.metric} ${row.value.toFixed(4)} (n ${row.n})`,
      ),
    ]),
  ]);
}

/** Checks a bundle, stores it with the updater and registers it. @throws BUNDLE_INVALID */
export async function add(folder: string, options: CommonOptions): Promise<void> {
  const { expert, version } = await withArtifacts(options, (store) =>
    withRegistry(options, (registry) => addBundle(folder, store, registry, AS_CLI)),
  );
  outputOf(options).answer({ expert, version, folder }, () => [
    `${expert}@${version} is registered; "thalamus experts show ${expert}" tells more.`,
  ]);
}

async function read(options: CommonOptions) {
  return withRegistry(options, async (registry) => {
    const [experts, versions] = await Promise.all([
      registry.listResources({ kind: 'expert' }, AS_CLI),
      registry.listResources({ kind: 'version' }, AS_CLI),
    ]);
    return {
      experts: experts.resources.flatMap(({ value }) => (value.case === 'expert' ? [value.value] : [])),
      versions: versions.resources.flatMap(({ value }) => (value.case === 'version' ? [value.value] : [])),
    };
  });
}

/** Where a remote version is and what it asks for; nothing of others. */
interface RemoteFacts {
  readonly upstream?: { readonly baseUrl: string; readonly model: string; readonly keyReference: string };
  readonly priceInputUsdPerMtok?: number;
  readonly priceOutputUsdPerMtok?: number;
}

function remoteFacts(version: registryV1.ExpertVersion | undefined): RemoteFacts {
  if (!version?.upstream) return {};
  const { baseUrl, model, keyReference } = version.upstream;
  const { priceInputUsdPerMtok, priceOutputUsdPerMtok } = version;
  return { upstream: { baseUrl, model, keyReference }, priceInputUsdPerMtok, priceOutputUsdPerMtok };
}

function priceText({ priceInputUsdPerMtok, priceOutputUsdPerMtok }: RemoteFacts): string | undefined {
  if (priceInputUsdPerMtok === undefined) return undefined;
  return `${priceInputUsdPerMtok}, ${priceOutputUsdPerMtok ?? 0}`;
}

function kindName(kind: registryV1.ExpertKind | undefined): string {
  return kind === undefined ? '-' : registryV1.ExpertKind[kind].toLowerCase();
}

function figure(version: registryV1.ExpertVersion | undefined, metric: string): number | undefined {
  return version?.evaluation.find((row) => row.split === 'test' && row.metric === metric)?.value;
}
