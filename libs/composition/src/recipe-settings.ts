import { ThalamusError } from '@thalamus/errors';
import {
  compositionMethod,
  INFORMATION_DEFAULTS,
  informationParameters,
  recipeParameters,
  staticMethod,
  switchParameters,
  twinFaults,
  twinParameters,
  type ParametersOfTensor,
  type RecipeDocument,
  type TwinParameters,
} from '@thalamus/model-merge';
import type { Storage } from '@thalamus/onnx-graph';
import type { z } from 'zod';
import type { InformationSettings } from './information/measure-information.js';
import type { StaticRecipe } from './shared-expert.js';

/** Values that share a scale in int8. */
const BLOCK_SIZE = 32;

/** How the result of a recipe stores its matrices; float32 unless it says otherwise. */
export function storageOf({ dtype }: RecipeDocument): Storage {
  return dtype === 'int8' ? { kind: 'int8', blockSize: BLOCK_SIZE } : { kind: dtype ?? 'float32' };
}

/** Parameters of a recipe of `switch`. @throws REQUEST_INVALID */
export function switchSettings(document: RecipeDocument): z.output<typeof switchParameters> {
  return parsed(switchParameters, document);
}

/** Parameters of a recipe of `twin`. @throws REQUEST_INVALID */
export function twinSettings(document: RecipeDocument): TwinParameters {
  const parameters = parsed(twinParameters, document);
  const faults = twinFaults(parameters);
  if (faults.length > 0)
    throw invalid(
      faults.map(({ parameter, description }) => ({ field: `parameters.${parameter}`, description })),
    );
  return parameters;
}

/** Looks at everything of a recipe that can be looked at before its parents are. @throws REQUEST_INVALID, METHOD_UNSUPPORTED */
export function checkSettings(document: RecipeDocument): void {
  const { chooses } = compositionMethod(document.method);
  if (chooses === 'weights') twinSettings(document);
  else if (chooses === 'parent') switchSettings(document);
  else staticRecipe(document, 1);
}

/** The static merge that gives the shared expert of a recipe of `twin`. */
export function sharedRecipe(
  {
    shared,
    shared_weight,
    shared_density,
    shared_lambda,
    information_rows,
    information_labels,
  }: TwinParameters,
  parents: readonly string[],
  seed: number,
): StaticRecipe {
  const method = staticMethod(shared);
  const given: Record<string, number | undefined> = {
    weight: shared_weight,
    density: shared_density,
    lambda: shared_lambda,
    seed,
  };
  const of = (shape: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(
      Object.keys(shape).flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])),
    );
  // What is one value for the whole model in one method is one for each parent in another.
  const parameters: ParametersOfTensor = {
    shared: of(method.shared.shape),
    parents: parents.map((name) => ({ name, parameters: of(method.perParent.shape) })),
  };
  const information = {
    rows: information_rows ?? INFORMATION_DEFAULTS.rows,
    labels: information_labels ?? INFORMATION_DEFAULTS.labels,
    isUnit: true,
  };
  return { method: shared, parameters, ...(method.needsInformation ? { information } : {}) };
}

/** A recipe of a static method. `layers` is how many layers the model has. @throws REQUEST_INVALID for what cannot be done here */
export function staticRecipe(document: RecipeDocument, layers: number): StaticRecipe {
  const method = staticMethod(document.method);
  const named = unversioned(document);
  const isBetween = method.maxParents === 1;
  const models = isBetween ? named.models.slice(1) : named.models;
  return {
    method: method.name,
    parameters: recipeParameters(method, { ...named, models }, layers),
    ...(isBetween ? { start: named.models[0]?.name } : {}),
    ...(method.needsInformation ? { information: informationSettings(document) } : {}),
  };
}

/** How a recipe has information measured; undefined where it needs none. */
export function informationOf({
  document,
}: {
  readonly document: RecipeDocument;
}): InformationSettings | undefined {
  const { chooses } = compositionMethod(document.method);
  if (chooses === 'parent') return undefined;
  return (chooses === 'weights' ? sharedRecipe(twinSettings(document), [], 0) : staticRecipe(document, 1))
    .information;
}

function informationSettings({ method, settings }: RecipeDocument): InformationSettings {
  const own = Object.keys(informationParameters.shape);
  const named = Object.fromEntries(Object.entries(settings).filter(([name]) => own.includes(name)));
  const { information_rows: rows, information_labels: labels } = parsed(informationParameters, {
    method,
    settings: named,
  });
  return { rows, labels, isUnit: settings['normalize']?.[0]?.values[0] !== false };
}

/** Parents are known by name alone once they are pinned. */
function unversioned(document: RecipeDocument): RecipeDocument {
  return { ...document, models: document.models.map((model) => ({ ...model, version: '' })) };
}

function parsed<S extends z.ZodObject>(
  schema: S,
  { method, settings }: Pick<RecipeDocument, 'method' | 'settings'>,
): z.output<S> {
  const values = Object.entries(settings).map(([name, setting]) => {
    const [rule] = setting;
    if (setting.length !== 1 || rule?.filter !== undefined || rule?.values.length !== 1)
      throw invalid([
        {
          field: `parameters.${name}`,
          description: `must be one value: ${method} is the same for all tensors`,
        },
      ]);
    return [name, rule.values[0]] as const;
  });
  const result = schema.safeParse(Object.fromEntries(values));
  if (result.success) return result.data;
  throw invalid(
    result.error.issues.map(({ path, message }) => ({
      field: ['parameters', ...path].join('.'),
      description: message,
    })),
  );
}

function invalid(
  violations: readonly { readonly field: string; readonly description: string }[],
): ThalamusError {
  const list = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  return new ThalamusError('REQUEST_INVALID', `The recipe is not valid: ${list}.`, { violations });
}
