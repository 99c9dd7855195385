import type { ClassifyText } from './classify-text.js';
import type { ComposeOnRequest } from './compositions/compose-on-request.js';
import type { EmbedTexts } from './embed-texts.js';
import type { InferOnHost } from './infer-on-host.js';
import type { InferTensors } from './infer-tensors.js';
import type { ListExperts } from './list-experts.js';
import type { RankExperts } from './rank-experts.js';
import type { RecordOutcome } from './record-outcome.js';
import type { ResolveExpert } from './resolve-expert.js';

/** What the gateway does, for the protocols it does it by. */
export interface UseCases {
  readonly classifyText: ClassifyText;
  readonly compositions: ComposeOnRequest;
  readonly embedTexts: EmbedTexts;
  readonly rankExperts: RankExperts;
  readonly inferTensors: InferTensors;
  readonly listExperts: ListExperts;
  readonly resolveExpert: ResolveExpert;
  readonly inferOnHost: InferOnHost;
  readonly recordOutcome: RecordOutcome;
}
