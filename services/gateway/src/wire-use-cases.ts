import type { RegistryView, ResidencyView } from '@thalamus/registry';
import { GrpcComposer } from './adapters/composer/grpc-composer.js';
import { ChooseClassifier } from './application/choose-classifier.js';
import { ClassifyText } from './application/classify-text.js';
import { CheckRecipes } from './application/compositions/check-recipes.js';
import { ComposeOnRequest } from './application/compositions/compose-on-request.js';
import { CompositionBuilds } from './application/compositions/composition-builds.js';
import { makeRegistered } from './application/compositions/make-registered.js';
import { RegisteredCompositions } from './application/compositions/registered-compositions.js';
import { RouteAmongParents } from './application/compositions/route-among-parents.js';
import { EmbedTexts } from './application/embed-texts.js';
import type { FallbackExpert } from './application/fallback-expert.js';
import type { InferOnHost } from './application/infer-on-host.js';
import { InferTensors } from './application/infer-tensors.js';
import type { ListExperts } from './application/list-experts.js';
import { RankExperts } from './application/rank-experts.js';
import type { RecordOutcome } from './application/record-outcome.js';
import type { AskVersion } from './application/releases/ask-version.js';
import type { ResolveExpert } from './application/resolve-expert.js';
import type { RouteText } from './application/route-text.js';
import type { UseCases } from './application/use-cases.js';
import type { GatewaySettings } from './config.js';

/** What the use cases of the front doors stand on. */
export interface UseCaseParts {
  readonly view: RegistryView;
  readonly residency: ResidencyView;
  readonly resolveExpert: ResolveExpert;
  readonly routeText: RouteText;
  readonly fallback: FallbackExpert;
  readonly inferOnHost: InferOnHost;
  readonly askVersion: AskVersion;
  readonly listExperts: ListExperts;
  readonly recordOutcome: RecordOutcome;
}

/** Wiring of what the front doors do; `close` ends what goes on in the background. */
export function wireUseCases(
  settings: GatewaySettings,
  parts: UseCaseParts,
): { readonly useCases: UseCases; readonly close: () => void } {
  const { resolveExpert, routeText, fallback, inferOnHost, listExperts, recordOutcome } = parts;
  const { compositions, close } = wireCompositions(settings, parts);
  const { askVersion } = parts;
  const chooser = new ChooseClassifier({
    resolve: resolveExpert,
    routeText,
    fallback,
    compositions,
    amongParents: new RouteAmongParents(routeText, resolveExpert),
  });
  const useCases: UseCases = {
    classifyText: new ClassifyText(chooser, askVersion, recordOutcome),
    compositions,
    embedTexts: new EmbedTexts(resolveExpert, askVersion, recordOutcome),
    listExperts,
    rankExperts: new RankExperts(routeText, compositions, recordOutcome),
    inferTensors: new InferTensors(resolveExpert, askVersion, recordOutcome),
    resolveExpert,
    inferOnHost,
    recordOutcome,
  };
  return { useCases, close };
}

/** Compositions that requests name. */
function wireCompositions(
  settings: GatewaySettings,
  { view, residency, resolveExpert: resolve }: UseCaseParts,
): { readonly compositions: ComposeOnRequest; readonly close: () => void } {
  const composer = new GrpcComposer(settings.composerAddress);
  const recipes = new CheckRecipes(composer, settings.composeFailureMs);
  const registered = new RegisteredCompositions(view, residency);
  const limits = {
    timeToLiveS: Math.ceil(settings.composeTimeToLiveMs / 1000),
    timeoutMs: settings.composeTimeoutMs,
  };
  const builds = new CompositionBuilds(makeRegistered(composer, registered, limits), {
    atOnce: settings.composeAtOnce,
    queue: settings.composeQueue,
    perTenant: settings.composePerTenant,
    rememberMs: settings.composeFailureMs,
  });
  return {
    compositions: new ComposeOnRequest({ resolve, registered, recipes, builds }, settings.composeKept),
    close: () => {
      builds.close();
      recipes.close();
      composer.close();
    },
  };
}
