import { openBundle, openRouterBundle, type RouterManifest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { OrtRuntime, PromptEncoder, TextEncoder, Tokenizer, type PromptVectors } from '@thalamus/inference';
import { inspectGraph } from '@thalamus/onnx-graph';
import {
  calibratedPredictions,
  certifySteps,
  decide,
  heldRisk,
  holdRisk,
  limitsOf,
  mergeFlags,
  parseFlags,
  riskPlan,
  stripFlagTags,
  weightsOf,
  type Candidate,
  type DecisionResult,
  type HeldRisk,
  type Prediction,
  type RiskTarget,
} from '@thalamus/routing';
import { openedRouter, predictedBy, type OpenedRouter } from '@thalamus/training';
import { join } from 'node:path';
import { shortDecision, type DecisionJson } from '../commands/decision.js';
import { zooFolder } from '../mesh/zoo-index.js';

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
    const encoder = await openEncoder(router, options, runtime);
    const startedAt = performance.now();
    const encoded = await encoder.encode([tagged.prompt]);
    const predictions = predictionsOf(router, encoded.embeddings);
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
    const decision = decisionJson(held, manifest, options.topK);
    const value = {
      ...shortDecision(decision),
      lossUnit: decision.lossUnit,
      router: `${manifest.name}@${manifest.version}`,
      promptTokens: encoded.tokenCounts[0] ?? 0,
      truncated: encoded.truncated[0] ?? false,
      timingsMs: {
        tokenise: encoded.tokeniseMs,
        encode: encoded.encodeMs,
        all: performance.now() - startedAt,
      },
    };
    return { value, decision };
  } finally {
    await runtime.close();
  }
}

/** Vectors as the router model wants them: its own tables and tokenizer, and a graph only where it reads one. */
async function openEncoder(
  { manifest, spec }: OpenedRouter,
  { router, base }: LocalRouteOptions,
  runtime: OrtRuntime,
): Promise<PromptVectors> {
  const { maxTokens, tokenizer: file, digest, name } = manifest.encoder;
  if (file !== undefined && !spec.blocks.some(({ kind }) => kind === 'sentence')) {
    const bundle = await openRouterBundle(router);
    return new PromptEncoder({ tokenizer: Tokenizer.parse(await bundle.readFile(file)), maxTokens }, spec);
  }
  const bundle = await openBundle(base ?? join(zooFolder(), 'base', 'minilm-l6'));
  if (bundle.digest !== digest)
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `The router model reads the encoder ${name} (${digest}), but ${bundle.folder} has the digest ${bundle.digest}; name the right folder with --base.`,
    );
  inspectGraph(await bundle.readFile('model.onnx'));
  const session = await runtime.load({ path: bundle.filePath('model.onnx') });
  const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
  return new PromptEncoder(new TextEncoder(tokenizer, session, maxTokens), spec);
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

function predictionsOf(router: OpenedRouter, embeddings: Float32Array): Map<string, Prediction> {
  const { raw, regions } = predictedBy(router, embeddings);
  return calibratedPredictions(raw, regions[0] ?? 0, router.manifest);
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
  { result, risk }: { readonly result: DecisionResult; readonly risk?: HeldRisk },
  { lossUnit }: RouterManifest,
  topK: number,
): DecisionJson {
  return {
    ...(risk ? { risk } : {}),
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
