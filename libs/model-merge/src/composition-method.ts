import { z } from 'zod';
import type { RecipeDataType } from './recipe/recipe-document.js';

/** Schemas of parameters by name; each carries its description and its default. */
export type ParameterSchemas = Readonly<Record<string, z.ZodType>>;

/** Task of parents whose heads give labels. */
export const CLASSIFICATION = 'text-classification';
/** Task of parents whose heads score the words of a vocabulary. */
export const MASKED_LM = 'fill-mask';

/** What there is to know of a way to make one expert of several, before it is used. */
export interface CompositionMethod {
  /** Name in recipes. */
  readonly name: string;
  /** Paper and section. */
  readonly reference: string;
  /**
   * How the result answers: `weights` mixes the parents' weights for each text, `parent` lets one of them answer each text as it
   * is, `static` has one set of weights for all texts.
   */
  readonly chooses: 'weights' | 'parent' | 'static';
  /** Hugging Face names of the tasks that parents may serve; those of one composition serve one. */
  readonly tasks: readonly string[];
  /** Kinds of expert that can be parents. */
  readonly parentKinds: readonly string[];
  /** Fewest parents, a base not counted. */
  readonly minParents: number;
  /** Most parents, a base not counted. */
  readonly maxParents: number;
  /**
   * Whether a recipe names the base, finds it among its models, may leave it out, or may name one of its models, which then
   * comes first.
   */
  readonly base: 'required' | 'among models' | 'optional' | 'one of models';
  /** What the result may be stored as; empty where it keeps the form of the base. */
  readonly dataTypes: readonly RecipeDataType[];
  /** Parameters that all models share. */
  readonly shared: ParameterSchemas;
  /** Parameters of each model. */
  readonly perModel: ParameterSchemas;
  /** What is wrong with parameters of all models that are each well formed; absent where any go together. */
  readonly faultsOf?: (values: Readonly<Record<string, unknown>>) => readonly ParameterFault[];
}

/** A parameter that does not go with another. */
export interface ParameterFault {
  readonly parameter: string;
  readonly description: string;
}

/** A parameter as people and clients see it. */
export interface ParameterFacts {
  readonly name: string;
  readonly description: string;
  /** Undefined: it has to be given. */
  readonly defaultValue: unknown;
  /** Whether each model may have a value of its own. */
  readonly isPerModel: boolean;
  /** Of a number that has both ends. */
  readonly range: { readonly minimum: number; readonly maximum: number } | undefined;
}

/** Parameters of a method, those of all models first. */
export function parameterFacts({ shared, perModel }: CompositionMethod): readonly ParameterFacts[] {
  const facts = (schemas: ParameterSchemas, isPerModel: boolean) =>
    Object.entries(schemas).map(([name, schema]) => ({
      name,
      description: schema.description ?? '',
      defaultValue: schema.safeParse(undefined).data,
      isPerModel,
      range: rangeOf(schema),
    }));
  return [...facts(shared, false), ...facts(perModel, true)];
}

function rangeOf(schema: z.ZodType): ParameterFacts['range'] {
  let inner: unknown = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodOptional) inner = inner.unwrap();
  if (!(inner instanceof z.ZodNumber)) return undefined;
  const { minValue, maxValue } = inner;
  return minValue === null || maxValue === null || !Number.isFinite(minValue) || !Number.isFinite(maxValue)
    ? undefined
    : { minimum: minValue, maximum: maxValue };
}
