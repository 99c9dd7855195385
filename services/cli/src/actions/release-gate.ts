import {
  compareContracts,
  DEFAULT_GATE_TEXT,
  DEFAULT_ROUTER_GATE_TEXT,
  defaultGate,
  defaultRouterGate,
  evaluateGate,
  FileComparison,
  parseDimensions,
  parseGate,
  type Comparison,
  type GateEvidence,
} from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import { VERDICT_EXIT } from '../exit-codes.js';
import { createOutput, table } from '../output.js';
import { readFigures } from '../release/figures-file.js';
import { readText } from '../release/text-file.js';
import { readInto } from '../release/prediction-source.js';

/** Options of `release gate check`. */
export interface GateCheckOptions {
  readonly before?: string;
  readonly after?: string;
  /** Dimensions, separated by commas. */
  readonly slices?: string;
  readonly from?: string;
  readonly to?: string;
  readonly override?: string;
  readonly figures?: string;
  readonly approve: readonly string[];
  readonly json: boolean;
  readonly data: string;
}

/** Options of `release gate show`. */
export interface ShowGateOptions {
  readonly kind: 'expert' | 'router';
  readonly json: boolean;
}

/** Budget of the comparison’s own verdict, which a gate does not look at. */
const ANY_BUDGET = 1;

/** Judges an update by a gate without doing anything; the exit code is how it ended. @throws CONFIG_INVALID, DATASET_INVALID, BUNDLE_INVALID */
export async function checkGate(path: string | undefined, options: GateCheckOptions): Promise<void> {
  const gate = path === undefined ? defaultGate() : parseGate(readText(path), path);
  const { evidence, data } = await gather(options);
  const result = evaluateGate(gate, evidence, data);
  const known = result.rules.length > 0;
  if (!known)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `The gate ${gate.name} has no rule about ${data.join(', ')}; its rules wait for ${result.pending.join(', ')}.`,
    );
  createOutput(options.json).answer(result, () => [
    `${result.gate}: ${result.status}`,
    ...table(result.rules.map(({ status, rule, sentence }) => [`  ${status}`, rule, sentence])),
    ...(result.pending.length === 0
      ? []
      : [`  not looked at, for lack of evidence: ${result.pending.join(', ')}`]),
  ]);
  process.exitCode = VERDICT_EXIT[result.status];
}

/** Prints the gate where none is named. */
export function showGate({ json, kind }: ShowGateOptions): void {
  const [gate, text] =
    kind === 'router' ? [defaultRouterGate, DEFAULT_ROUTER_GATE_TEXT] : [defaultGate, DEFAULT_GATE_TEXT];
  createOutput(json).answer(gate(), () => [text.trimEnd()]);
}

async function gather(options: GateCheckOptions): Promise<{ evidence: GateEvidence; data: string[] }> {
  const offline = pairOf('--before', options.before, '--after', options.after);
  const bundles = pairOf('--from', options.from, '--to', options.to);
  const figures = options.figures === undefined ? {} : readFigures(options.figures);
  if (!offline && !bundles && Object.keys(figures).length === 0)
    throw new ThalamusError(
      'CONFIG_INVALID',
      'Nothing is given to judge by: name predictions with --before and --after, versions with --from and --to, or measured figures with --figures.',
    );
  if (options.override?.trim() === '')
    throw new ThalamusError('CONFIG_INVALID', '--override is empty; say why callers may break.');
  return {
    evidence: {
      ...(offline ? { comparisons: { offline: await compare(offline, options) } } : {}),
      ...(bundles ? { contract: await contracts(bundles, options) } : {}),
      figures,
      approvals: options.approve,
    },
    data: [
      ...(offline ? ['offline'] : []),
      ...(bundles ? ['contract'] : []),
      ...Object.keys(figures),
      'approvals',
    ],
  };
}

type Pair = readonly [before: string, after: string];

function pairOf(
  one: string,
  before: string | undefined,
  other: string,
  after: string | undefined,
): Pair | undefined {
  if (before !== undefined && after !== undefined) return [before, after];
  if (before === undefined && after === undefined) return undefined;
  throw new ThalamusError(
    'CONFIG_INVALID',
    `${one} and ${other} belong together; ${before === undefined ? one : other} is missing.`,
  );
}

async function compare([before, after]: Pair, { slices, data }: GateCheckOptions): Promise<Comparison> {
  const dimensions = slices === undefined ? {} : { dimensions: parseDimensions(slices) };
  const comparison = new FileComparison({ files: { before, after }, ...dimensions });
  await readInto(comparison, { before, after, data });
  return comparison.result({ budget: ANY_BUDGET, items: 0 });
}

async function contracts([from, to]: Pair, { override, data }: GateCheckOptions) {
  const { contractOf } = await import('../release/contract-of.js');
  const { openSource } = await import('../release/contract-source.js');
  const [old, own] = [await openSource(from, data), await openSource(to, data)];
  const differences = compareContracts(await contractOf(old), await contractOf(own));
  return { differences, ...(override === undefined ? {} : { override }) };
}
