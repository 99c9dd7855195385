import { ThalamusError } from '@thalamus/errors';
import {
  CLASSIFICATION,
  MASKED_LM,
  type CompositionMethod,
  type ParameterSchemas,
} from './composition-method.js';
import { informationParameters } from './static/information-parameters.js';
import { PARAMETER_DESCRIPTIONS } from './static/parameter-descriptions.js';
import { STATIC_METHODS } from './static/static-methods.js';
import type { StaticMethod } from './static/static-method.js';
import { SWITCH } from './switch/switch-method.js';
import { TWIN } from './twin/twin-method.js';

/** Kinds of expert that have, or stand for, weights of a whole encoder. */
export const WEIGHTED_KINDS = ['full', 'lowrank', 'probe'] as const;

function described(schemas: ParameterSchemas): ParameterSchemas {
  return Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [
      name,
      schema.describe(PARAMETER_DESCRIPTIONS[name] ?? ''),
    ]),
  );
}

function ofStatic(method: StaticMethod): CompositionMethod {
  // What stands between a base and one parent stands between two parents here: the first takes the place of the base.
  const isBetween = method.maxParents === 1;
  const measured = method.needsInformation ? informationParameters.shape : {};
  return {
    name: method.name,
    reference: method.reference,
    chooses: 'static',
    // Information is measured by the losses of labels.
    tasks: method.needsInformation ? [CLASSIFICATION] : [CLASSIFICATION, MASKED_LM],
    parentKinds: WEIGHTED_KINDS,
    minParents: isBetween ? 2 : method.minParents,
    maxParents: isBetween ? 2 : method.maxParents,
    base: isBetween ? 'one of models' : method.needsBase ? 'required' : 'among models',
    dataTypes: ['float32', 'float16', 'int8'],
    shared: described({ ...method.shared.shape, ...measured }),
    perModel: described(method.perParent.shape),
  };
}

/** Every way to make one expert of several. */
export const COMPOSITION_METHODS: readonly CompositionMethod[] = [
  TWIN,
  SWITCH,
  ...STATIC_METHODS.map(ofStatic),
];

/** The method of a name. @throws REQUEST_INVALID that lists the known ones */
export function compositionMethod(name: string): CompositionMethod {
  const method = COMPOSITION_METHODS.find((candidate) => candidate.name === name);
  if (method) return method;
  const known = COMPOSITION_METHODS.map((candidate) => candidate.name).join(', ');
  throw new ThalamusError(
    'REQUEST_INVALID',
    `The merge method "${name.slice(0, 60)}" is unknown; known are ${known}.`,
    { violations: [{ field: 'recipe.method', description: `one of ${known}` }] },
  );
}
