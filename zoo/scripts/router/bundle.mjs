// Writes the fitted router model with its manifest.
import { float32Tensor, writeRouterBundle, writeSafetensors } from '@thalamus/bundle';
import { sphericalKMeans } from '@thalamus/training';
import { ROUTED_TASKS } from '../tasks.mjs';
import { WIDTH } from '../served-experts.mjs';

const REGIONS = 32;

/** Tensors of the head file. */
function headTensors(heads, candidates) {
  const bias = { 'heads.bias': float32Tensor([candidates], heads.bias) };
  if (heads.kind === 'linear')
    return { 'heads.weight': float32Tensor([candidates, WIDTH], heads.weights), ...bias };
  if (heads.kind === 'mlp') {
    const hidden = heads.hiddenBias.length;
    return {
      'heads.hidden.weight': float32Tensor([hidden, WIDTH], heads.hiddenWeights),
      'heads.hidden.bias': float32Tensor([hidden], heads.hiddenBias),
      'heads.weight': float32Tensor([candidates, hidden], heads.weights),
      ...bias,
    };
  }
  return {
    'heads.gate.weight': float32Tensor([candidates, WIDTH], heads.gateWeights),
    'heads.gate.bias': float32Tensor([candidates], heads.gateBias),
    'heads.weight': float32Tensor([candidates, candidates + WIDTH], heads.weights),
    ...bias,
  };
}

/** Writes the router model into its folder; resolves with its digest. */
export async function writeRouter(
  folder,
  { base, library, data, heads, abstain, intervals, evaluation, tableDigest, settings },
) {
  const { experts, scale } = library;
  const { manifest } = base.bundle;
  const tensors = {
    ...headTensors(heads, experts.length),
    ...(abstain.prototypes
      ? {
          'abstention.prototypes': float32Tensor(
            [abstain.prototypes.length / WIDTH, WIDTH],
            abstain.prototypes,
          ),
        }
      : {}),
    'regions.centroids': float32Tensor(
      [REGIONS, WIDTH],
      sphericalKMeans(data.router.features, WIDTH, REGIONS, settings.seed),
    ),
  };
  const hidden = { linear: {}, mlp: { hidden: heads.hiddenBias?.length }, gated: { hidden: experts.length } }[
    heads.kind
  ];
  const rows = data.router.rows.length;
  const { digest } = await writeRouterBundle(
    folder,
    {
      schemaVersion: 1,
      name: 'zoo-router',
      version: '5',
      task: 'text-classification',
      lossUnit: 'nats',
      description: 'Predicts the cross-entropy of nine experts of the zoo from the frozen sentence encoder.',
      encoder: {
        name: manifest.name,
        digest: base.bundle.digest,
        maxTokens: manifest.maxTokens,
        dimension: WIDTH,
      },
      candidates: experts.map(({ expert, version, digest: expertDigest }) => ({
        expert,
        version,
        digest: expertDigest,
        fittedOn: { lossTable: tableDigest, rows },
      })),
      heads: { kind: heads.kind, file: 'heads.safetensors', ...hidden },
      lossScale: scale,
      costScales: {
        size: { unit: 'flopsPerToken', transform: 'log10', min: 1e6, max: 1e12 },
        recency: { unit: 'days', transform: 'linear', min: 0, max: 1095 },
        latency: { unit: 'milliseconds', transform: 'log10', min: 1, max: 10_000 },
        cost: { unit: 'usdPerMillionTokens', transform: 'linear', min: 0, max: 10 },
        security: { unit: 'distrust', transform: 'linear', min: 0, max: 1 },
      },
      verbalLevels: { low: 0.1, medium: 0.5, high: 2 },
      calibration: {
        coverage: settings.coverage,
        intervals,
        abstention: {
          score: abstain.score,
          threshold: abstain.threshold,
          falseAbstention: settings.falseAbstention,
        },
      },
      regionCount: REGIONS,
      licence: 'Apache-2.0',
      trainingData: ROUTED_TASKS.map((task) => ({
        name: task.set,
        licence: task.licence,
        origin: task.origin,
        rows: data.router.rows.filter(({ set }) => set === task.set).length,
      })),
      evaluation,
      releaseDate: settings.date,
    },
    { 'heads.safetensors': writeSafetensors(tensors) },
  );
  return digest;
}
