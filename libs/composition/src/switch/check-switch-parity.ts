import type { InferenceSession, Tokenizer } from '@thalamus/inference';
import { parentProbabilities, TWIN_VALUES, type MergedGraph } from '@thalamus/model-merge';
import { argMax, asFloat32, tensor } from '@thalamus/tensor';
import { embedTexts, headLogProbabilities, type BatchEncoder, type LinearHead } from '@thalamus/training';
import { ParityTally, refused, type CheckedRow, type ParityReport, type RowAnswer } from './parity-tally.js';

/** A parent as it stands alone. */
export interface ParentAlone {
  readonly name: string;
  readonly labels: readonly string[];
  readonly head: LinearHead;
  /** What the head reads: the base, or the base under the parent's branches. Probes share one. */
  readonly encoder: BatchEncoder;
  /** Whether the graph gives its own answer where another parent was chosen: that of a probe. */
  readonly answersAlways: boolean;
  /** Rows that nothing was fitted on; the label is empty where it is not known. */
  readonly rows: readonly { readonly text: string; readonly label: string }[];
}

/** The graph that is compared with its parents. */
export interface ParityParts {
  readonly graph: MergedGraph;
  readonly composed: InferenceSession;
  readonly tokenizer: Tokenizer;
  readonly maxTokens: number;
}

const BATCH = 16;

/**
 * Runs the composed graph on rows of every parent, then the parents themselves: each head on the vectors of its own encoder.
 * Batches mix the parents; every other one names them, the rest leave the choice to the router.
 * @throws COMPOSITION_REFUSED when a probability is off by more than the tolerance, or the router's choice is not followed
 */
export async function checkSwitchParity(
  parts: ParityParts,
  parents: readonly ParentAlone[],
  onProgress: (done: number, total: number) => void,
): Promise<ParityReport> {
  const { graph } = parts;
  const sorted = graph.parents.map((name) => parents.find((parent) => parent.name === name) as ParentAlone);
  const rows = interleaved(sorted);
  const answers: RowAnswer[] = [];
  for (let from = 0; from < rows.length; from += BATCH) {
    const batch = rows.slice(from, from + BATCH);
    answers.push(...(await run(parts, batch, (from / BATCH) % 2 === 0)));
    onProgress(answers.length, 2 * rows.length);
  }
  const tally = new ParityTally(graph, sorted);
  const alone = await answersAlone(sorted, rows, answers, onProgress);
  rows.forEach((row, index) => tally.add(row, answers[index] as RowAnswer, alone[index] ?? []));
  return tally.report(rows.length);
}

/** Rows of all parents in turn, so that batches are mixed. */
function interleaved(parents: readonly ParentAlone[]): CheckedRow[] {
  const longest = Math.max(...parents.map(({ rows }) => rows.length));
  return Array.from({ length: longest }, (_, index) =>
    parents.flatMap(({ rows }, parent) => (rows[index] ? [{ ...rows[index], parent }] : [])),
  ).flat();
}

/**
 * Probabilities of parents alone, [row][parent]: of probes on every row, of others on their own rows and on those that the
 * router gives to them, which is all that is looked at.
 */
async function answersAlone(
  parents: readonly ParentAlone[],
  rows: readonly CheckedRow[],
  answers: readonly RowAnswer[],
  onProgress: (done: number, total: number) => void,
): Promise<(Float64Array | undefined)[][]> {
  const result = rows.map(() => parents.map((): Float64Array | undefined => undefined));
  const jobs = [...Map.groupBy(parents.keys(), (index) => parents[index]?.encoder)].map(
    ([encoder, users]) => {
      const isWanted = (row: CheckedRow, at: number) =>
        users.some(
          (user) => parents[user]?.answersAlways || row.parent === user || answers[at]?.routed === user,
        );
      return {
        encoder: encoder as BatchEncoder,
        users,
        wanted: [...rows.keys()].filter((at) => isWanted(rows[at] as CheckedRow, at)),
      };
    },
  );
  let before = rows.length;
  const total = jobs.reduce((sum, { wanted }) => sum + wanted.length, before);
  for (const { encoder, users, wanted } of jobs) {
    const texts = wanted.map((at) => rows[at]?.text ?? '');
    const done = before;
    const onBatch = (count: number) => onProgress(done + count, total);
    const { features, width } = await embedTexts(encoder, texts, { batchSize: BATCH, onBatch });
    for (const user of users) {
      const { head, labels } = parents[user] as ParentAlone;
      const probabilities = headLogProbabilities(head, features, width).map(Math.exp);
      wanted.forEach((at, place) => {
        (result[at] as (Float64Array | undefined)[])[user] = probabilities.subarray(
          place * labels.length,
          (place + 1) * labels.length,
        );
      });
    }
    before += wanted.length;
  }
  return result;
}

async function run(parts: ParityParts, batch: readonly CheckedRow[], isNamed: boolean): Promise<RowAnswer[]> {
  const { inputIds, attentionMask } = await parts.tokenizer.encodeBatch(
    batch.map(({ text }) => text),
    parts.maxTokens,
  );
  const tasks = BigInt64Array.from(batch, ({ parent }) => (isNamed ? BigInt(parent) : -1n));
  const outputs = await parts.composed.run({
    [TWIN_VALUES.inputIds]: inputIds,
    [TWIN_VALUES.attentionMask]: attentionMask,
    [TWIN_VALUES.task]: tensor('int64', [batch.length], tasks),
  });
  const rowsOf = (name: string) => {
    const { data } = asFloat32(outputs[name], name);
    const width = data.length / batch.length;
    return (at: number) => data.subarray(at * width, (at + 1) * width);
  };
  const chosen = outputs[TWIN_VALUES.parent];
  if (chosen?.dtype !== 'int64') throw refused('its output "parent" is missing');
  const weights = rowsOf(TWIN_VALUES.routerWeights);
  const scores = rowsOf(TWIN_VALUES.scores);
  const own = parts.graph.parents.map((name) => rowsOf(parentProbabilities(name)));
  return batch.map((row, at) => {
    const routed = argMax(weights(at));
    return {
      routed,
      expected: isNamed ? row.parent : routed,
      chosen: Number(chosen.data[at]),
      scores: scores(at),
      own: own.map((rows) => rows(at)),
    };
  });
}
