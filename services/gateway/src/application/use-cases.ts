import type { ClassifyText } from './classify-text.js';
import type { EmbedTexts } from './embed-texts.js';
import type { InferOnHost } from './infer-on-host.js';
import type { ListExperts } from './list-experts.js';
import type { RecordOutcome } from './record-outcome.js';
import type { ResolveExpert } from './resolve-expert.js';
import type { RouteText } from './route-text.js';

/** What the gateway does, for the protocols it does it by. */
export interface UseCases {
  readonly classifyText: ClassifyText;
  readonly embedTexts: EmbedTexts;
  readonly routeText: RouteText;
  readonly listExperts: ListExperts;
  readonly resolveExpert: ResolveExpert;
  readonly inferOnHost: InferOnHost;
  readonly recordOutcome: RecordOutcome;
}
