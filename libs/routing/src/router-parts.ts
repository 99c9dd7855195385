import type { RiskRows } from './risk/control-risk.js';
import { riskRowsFromTensors } from './risk/risk-tensors.js';
import type { FeatureSpec } from './router-features.js';
import type { ReadTensor } from './router-tensors.js';
import {
  secondStageFromTensors,
  type SecondStageFacts,
  type SecondStageModel,
} from './stages/second-stage-tensors.js';

/** Opens a file of a router model by its name. */
export type OpenTensors = (file: string) => Promise<ReadTensor>;

/** What the manifest says of parts that a router model need not have. */
export interface FurtherFacts {
  readonly candidates: readonly unknown[];
  /** Regions of both stages together. */
  readonly regionCount?: number | undefined;
  readonly secondStage?: (SecondStageFacts & { readonly heads: { readonly file: string } }) | undefined;
  readonly risk?: { readonly file: string; readonly rows: number; readonly bound: number } | undefined;
}

/** Parts that a router model need not have; undefined where it has none. */
export interface FurtherParts {
  readonly second: SecondStageModel | undefined;
  readonly riskRows: RiskRows | undefined;
}

/**
 * The second stage of a cascade, which shares the tables of the first, `spec`, and the rows for bounds on the risk.
 * @throws what `open` and its answer throw
 */
export async function readFurtherParts(
  facts: FurtherFacts,
  spec: FeatureSpec | undefined,
  open: OpenTensors,
): Promise<FurtherParts> {
  const { secondStage, risk, regionCount = 0 } = facts;
  const candidates = facts.candidates.length;
  return {
    second:
      secondStage && spec
        ? secondStageFromTensors(
            secondStage,
            { spec, candidates, regionCount },
            await open(secondStage.heads.file),
          )
        : undefined,
    riskRows: risk && riskRowsFromTensors({ ...risk, candidates }, await open(risk.file)),
  };
}
