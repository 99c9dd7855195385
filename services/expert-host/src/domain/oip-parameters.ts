import type { inference } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';

/** What a parameter of a request may be. */
export type ParameterSpec =
  | { readonly kind: 'bool' }
  | { readonly kind: 'count'; readonly most: number }
  | { readonly kind: 'choice'; readonly of: readonly string[] };

/** Parameters by name. */
export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;

/** Values of the parameters that were given. */
export type ParameterValues = ReadonlyMap<string, boolean | number | string>;

type Given = Readonly<Record<string, inference.InferParameter>>;

/** Longest time that `timeout` may give, microseconds: a day. */
const LONGEST_TIMEOUT_US = 86_400_000_000;

/** What every model takes, under the names of Triton's clients. */
const COMMON = {
  /** Microseconds after which the answer is worthless. */
  timeout: { kind: 'count', most: LONGEST_TIMEOUT_US },
  /** Asks a stream for an empty last message, which only a model that answers many times would need. */
  triton_enable_empty_final_response: { kind: 'bool' },
} as const satisfies ParameterSpecs;

/** Parameters of one output. */
const OF_OUTPUTS = {
  /** Classes wanted instead of the tensor. */
  classification: { kind: 'count', most: 4_096 },
} as const satisfies ParameterSpecs;

/** What a request asks for besides its tensors. */
export interface ReadParameters {
  readonly values: ParameterValues;
  /** Classes that are wanted of an output, by its name. */
  readonly classes: ReadonlyMap<string, number>;
}

/** Nothing that a caller wishes is ignored: what is not offered is refused. @throws REQUEST_INVALID naming each field */
export function readParameters(request: inference.ModelInferRequest, own: ParameterSpecs): ReadParameters {
  const faults: { field: string; description: string }[] = [];
  const read = (where: string, given: Given, specs: ParameterSpecs) =>
    new Map(
      Object.entries(given).flatMap(([name, parameter]) => {
        const value = valueOf(parameter, Object.hasOwn(specs, name) ? specs[name] : undefined);
        if (typeof value !== 'object') return [[name, value]];
        const description = value.fault ?? `is not a known parameter; ${knownOf(specs)}`;
        faults.push({ field: `${where}.${name.slice(0, 64)}`, description });
        return [];
      }),
    );
  const values = read('parameters', request.parameters, { ...COMMON, ...own });
  for (const { name, parameters } of request.inputs) read(`inputs.${name}.parameters`, parameters, {});
  const classes = new Map<string, number>();
  for (const { name, parameters } of request.outputs) {
    const wanted = read(`outputs.${name}.parameters`, parameters, OF_OUTPUTS).get('classification');
    if (typeof wanted === 'number') classes.set(name, wanted);
  }
  const [first] = faults;
  if (first)
    throw new ThalamusError('REQUEST_INVALID', `The parameter ${first.field} ${first.description}.`, {
      violations: faults,
    });
  for (const name of Object.keys(COMMON)) values.delete(name);
  return { values, classes };
}

/** Milliseconds from now that a request gives for its answer; undefined without the parameter `timeout`, or with a wrong one. */
export function readTimeout({ parameters }: inference.ModelInferRequest): number | undefined {
  const given = Object.hasOwn(parameters, 'timeout') ? parameters['timeout'] : undefined;
  const microseconds = given && valueOf(given, COMMON.timeout);
  return typeof microseconds === 'number' ? microseconds / 1000 : undefined;
}

/** Largest priority, and smallest, that an expert may have. */
const MOST_PRIORITY = 999_999;

/**
 * What a load says of a version besides that it is to be loaded: `pinned` (bool), never let go to make room; `priority` (int64),
 * lower ones are let go first. Models come from the registry, never from a request. @throws REQUEST_INVALID
 */
export function readLoadParameters(given: Readonly<Record<string, inference.ModelRepositoryParameter>>): {
  readonly isPinned?: boolean;
  readonly priority?: number;
} {
  const wish: { isPinned?: boolean; priority?: number } = {};
  for (const [name, { parameterChoice }] of Object.entries(given)) {
    const { case: kind, value } = parameterChoice;
    if (name === 'pinned' && kind === 'boolParam') wish.isPinned = value;
    else if (name === 'priority' && kind === 'int64Param' && Math.abs(Number(value)) <= MOST_PRIORITY)
      wish.priority = Number(value);
    else
      throw new ThalamusError(
        'REQUEST_INVALID',
        `Load takes the parameters pinned (bool) and priority (int64 from -${MOST_PRIORITY} to ${MOST_PRIORITY}); ${name.slice(0, 64)} is neither: models come from the registry, never from a request.`,
        {
          violations: [{ field: 'parameters', description: 'pinned (bool) and priority (int64) are known' }],
        },
      );
  }
  return wish;
}

/** The value, or what is wrong with it; an object without a fault stands for a parameter that is not known. */
function valueOf(
  { parameterChoice: { case: kind, value } }: inference.InferParameter,
  spec: ParameterSpec | undefined,
): boolean | number | string | { readonly fault?: string } {
  switch (spec?.kind) {
    case undefined:
      return {};
    case 'bool':
      return kind === 'boolParam' ? value : { fault: 'must be a bool' };
    case 'count': {
      const count = kind === 'int64Param' || kind === 'uint64Param' ? Number(value) : undefined;
      return count !== undefined && count >= 1 && count <= spec.most
        ? count
        : { fault: `must be a whole number from 1 to ${spec.most}` };
    }
    case 'choice':
      return kind === 'stringParam' && spec.of.includes(value)
        ? value
        : { fault: `must be one of ${spec.of.join(', ')}` };
  }
}

function knownOf(specs: ParameterSpecs): string {
  const names = Object.keys(specs);
  return names.length === 0 ? 'none is taken here' : `known are ${names.join(', ')}`;
}
