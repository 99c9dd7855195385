import { openRouterBundle, type RouterManifest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { OrtRuntime, type EncodedPrompts } from '@thalamus/inference';
import {
  calibratedPredictions,
  certifySteps,
  decide,
  decidingStage,
  heldRisk,
  holdRisk,
  limitsOf,
  mergeFlags,
  parseFlags,
  riskPlan,
  stageVerdict,
  stripFlagTags,
  weightsOf,
  type Candidate,
  type DecidingStage,
  type DecisionResult,
  type HeldRisk,
  type RiskTarget,
} from '@thalamus/routing';
import { firstPredictions, openedRouter, predictedBy, type OpenedRouter } from '@thalamus/training';
import { shortDecision, type DecisionJson } from '../commands/decision.js';
import { openEncoders, type LocalEncoders } from '../router/local-encoders.js';

/** Options of `route --router`. */
export interface LocalRouteOptions {
  readonly router: string;
  readonly base?: string;
  readonly flag?: readonly string[];
  readonly topK: number;
  readonly risk?: RiskTarget;
}

/** Largest prompt, as the router of a mesh takes it. */
const MAX_PROMPT_BYTES = 1_048_576;

/**
 * Ranks the candidates of a router model for a prompt in this process. Flags of the command line win over those of a tag.
 * @throws REQUEST_INVALID, REQUEST_TOO_LARGE, FLAG_INVALID, BUNDLE_INVALID, METHOD_UNSUPPORTED, NO_SUITABLE_EXPERT when nothing passes
 */
export async function routeLocal(prompt: string, options: LocalRouteOptions) {
  const given = parseFlags((options.flag ?? []).join(','));
  const tagged = stripFlagTags(requirePrompt(prompt));
  if (tagged.prompt.trim() === '')
    throw invalid('The prompt is empty once its flag tags are taken off; add the text.');
  const router = await openedRouter(await openRouterBundle(options.router));
  const { manifest } = router;
  const flags = mergeFlags(given, tagged.flags);
  const weights = weightsOf(flags, manifest.verbalLevels, manifest.costScales);
  const runtime = new OrtRuntime();
  try {
    const encoders = await openEncoders(router, options, runtime);
    const startedAt = performance.now();
    const encoded = await encoders.first.encode([tagged.prompt]);
    const { predictions, stage, encodeMs } = await predict(router, encoders, tagged.prompt, encoded);
    const result = decide({
      candidates: manifest.candidates.map((item) => candidateOf(item, manifest.task)),
      constraints: {
        task: manifest.task,
        tenant: '',
        contextTokens: 0,
        experts: [],
        limits: limitsOf(flags),
        policy: undefined,
      },
      predictions,
      weights,
      scales: manifest.costScales,
    });
    if (result.ranked.length === 0) throw nothingPasses(result);
    const held = options.risk ? withinRisk(result, router, options.risk) : { result };
    const decision = decisionJson({ ...held, stage }, manifest, options.topK);
    const value = {
      ...shortDecision(decision),
      lossUnit: decision.lossUnit,
      router: `${manifest.name}@${manifest.version}`,
      promptTokens: encoded.tokenCounts[0] ?? 0,
      truncated: encoded.truncated[0] ?? false,
      timingsMs: {
        tokenise: encoded.tokeniseMs,
        encode: encoded.encodeMs + encodeMs,
        all: performance.now() - startedAt,
      },
    };
    return { value, decision };
  } finally {
    await runtime.close();
  }
}

function requirePrompt(prompt: string): string {
  if (prompt.trim() === '') throw invalid('The prompt is empty; give the text, or - for standard input.');
  const bytes = Buffer.byteLength(prompt);
  if (bytes <= MAX_PROMPT_BYTES) return prompt;
  throw new ThalamusError(
    'REQUEST_TOO_LARGE',
    `The prompt has ${bytes} bytes; at most ${MAX_PROMPT_BYTES} are taken.`,
  );
}

/** Predictions of the stage that decides, with what a second one took. */
async function predict(
  router: OpenedRouter,
  encoders: LocalEncoders,
  prompt: string,
  { embeddings, rows }: EncodedPrompts,
) {
  const { manifest, second } = router;
  const first = firstPredictions(router, embeddings);
  const again = first.open.length > 0 ? await encoders.second([prompt], rows) : undefined;
  const { raw, regions } = predictedBy(router, first, again?.embeddings ?? new Float32Array());
  const experts = manifest.candidates.map(({ expert }) => expert);
  return {
    predictions: calibratedPredictions(raw, regions[0] ?? 0, manifest),
    stage:
      second &&
      decidingStage(stageVerdict(first.raw, first.regions[0] ?? 0, second.gate), second.gate, experts),
    encodeMs: again?.encodeMs ?? 0,
  };
}

/** A candidate as the table knows it: nothing is known of licence, trust or health, so that nothing speaks against it. */
function candidateOf(
  { expert, version, properties }: RouterManifest['candidates'][number],
  task: string,
): Candidate {
  return {
    expert,
    version,
    fittedVersion: version,
    task,
    licence: '',
    trust: 0,
    parameterCount: 0,
    maxTokens: Number.MAX_SAFE_INTEGER,
    tenants: [],
    healthy: undefined,
    properties: properties ?? {},
  };
}

/** The decision with the choice of the cheapest rule that keeps the bound first. @throws METHOD_UNSUPPORTED, REQUEST_INVALID */
function withinRisk(result: DecisionResult, { manifest, riskRows }: OpenedRouter, target: RiskTarget) {
  if (!riskRows)
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      `The router model ${manifest.name}@${manifest.version} holds no measured rows to certify a bound on the risk by; train it anew with "thalamus router train", or leave --risk out.`,
    );
  const plan = riskPlan(
    result.ranked,
    new Map(manifest.candidates.map(({ expert }, column) => [expert, column])),
  );
  const steps = certifySteps(riskRows, plan, target);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return { result: holdRisk(result, plan, value), risk: heldRisk(plan, value) };
  }
}

function decisionJson(
  {
    result,
    risk,
    stage,
  }: {
    readonly result: DecisionResult;
    readonly risk?: HeldRisk;
    readonly stage: DecidingStage | undefined;
  },
  { lossUnit }: RouterManifest,
  topK: number,
): DecisionJson {
  return {
    ...(risk ? { risk } : {}),
    ...(stage ? { decidingStage: stage } : {}),
    ranked: result.ranked.slice(0, topK).map(({ candidate, prediction, costs, total }) => ({
      expert: candidate.expert,
      predictedLoss: prediction.loss,
      lossLow: prediction.low,
      lossHigh: prediction.high,
      costs,
      total,
    })),
    rejected: result.rejections.map(({ filter, count }) => ({ filter, count })),
    abstained: result.abstained,
    reason: result.reason,
    lossUnit,
  };
}

function nothingPasses({ rejections }: DecisionResult): ThalamusError {
  const list = rejections.map(
    ({ filter, count, description }) => `${filter} removed ${count} (wanted: ${description})`,
  );
  return new ThalamusError(
    'NO_SUITABLE_EXPERT',
    `No candidate passes the limits: ${list.join('; ')}. Loosen a flag.`,
  );
}

function invalid(message: string): ThalamusError {
  return new ThalamusError('REQUEST_INVALID', message);
}
