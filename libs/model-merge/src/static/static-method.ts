import type { z } from 'zod';

/** What one parent brings to a tensor. */
export interface ParentTensor {
  /** Name of the parent. */
  readonly name: string;
  /** float32, row-major. */
  readonly data: Float32Array;
  /** Diagonal Fisher information, one number for each element of `data`; only methods that ask for it read it. */
  readonly information?: Float32Array | undefined;
}

/** One tensor of the model, as base and parents have it. All arrays are of one length. */
export interface TensorGroup {
  /** Name of the tensor; it decides random masks. */
  readonly name: string;
  /** Sizes of the dimensions; empty for a scalar. */
  readonly dims: readonly number[];
  /** Of the base; absent where the method needs none. */
  readonly base?: Float32Array | undefined;
  readonly parents: readonly ParentTensor[];
}

/** Values of the parameters of one tensor, checked, defaults filled in. */
export interface StaticParameters<S = unknown, P = unknown> {
  readonly shared: S;
  /** In the order of the group's parents. */
  readonly parents: readonly (P & { readonly name: string })[];
}

/** Collects what a method has to know of the whole model before it can merge the first tensor. */
export interface ModelPass {
  /** Takes in one tensor; each tensor once in each pass, in any order. */
  observe(group: TensorGroup): void;
  /** Ends a pass over all tensors. True when no further pass is needed. */
  endPass(): boolean;
}

/** A method with its parameters. Holds scratch memory: not to be shared between threads. */
export interface BoundMerge {
  /** Absent when each tensor stands alone. Must have ended before `merge` is called. */
  readonly statistics?: ModelPass | undefined;
  /** Writes the merged tensor into `out`, which must not overlap an input. */
  merge(group: TensorGroup, out: Float32Array): void;
}

/** A merge that gives one set of weights, tensor by tensor. */
export interface StaticMethod {
  /** Name in recipes. */
  readonly name: string;
  /** Paper, section or equation, and where defaults are from. */
  readonly reference: string;
  /** Whether task vectors are taken against a base. */
  readonly needsBase: boolean;
  /** Whether every parent brings information tensors. */
  readonly needsInformation: boolean;
  /** Fewest parents, the base not counted. */
  readonly minParents: number;
  /** Most parents, the base not counted. */
  readonly maxParents: number;
  /** Whether the order of parents is of no account; they are then sorted by name, and the result is the same to the byte. */
  readonly isOrderFree: boolean;
  /** When a pass over the whole model comes first: never, always, or as a parameter says (which one, and why). */
  readonly modelWide: string;
  /** Strict schema of the parameters that all parents share. */
  readonly shared: z.ZodObject;
  /** Strict schema of the parameters of each parent. */
  readonly perParent: z.ZodObject;
  /** Fixes the parameters, which must have come from `parseStaticParameters`. */
  readonly bind: (parameters: StaticParameters) => BoundMerge;
}

/** A method as its file writes it: `bind` sees the types that the schemas give. */
export interface StaticMethodDefinition<S extends z.ZodRawShape, P extends z.ZodRawShape> extends Omit<
  StaticMethod,
  'bind' | 'shared' | 'perParent'
> {
  readonly shared: z.ZodObject<S, z.core.$strict>;
  readonly perParent: z.ZodObject<P, z.core.$strict>;
  readonly bind: (
    parameters: StaticParameters<
      z.output<z.ZodObject<S, z.core.$strict>>,
      z.output<z.ZodObject<P, z.core.$strict>>
    >,
  ) => BoundMerge;
}

/** Makes an entry of the registry. */
export function defineStaticMethod<S extends z.ZodRawShape, P extends z.ZodRawShape>(
  definition: StaticMethodDefinition<S, P>,
): StaticMethod {
  return {
    ...definition,
    // Parameters were parsed by the two schemas above: parseStaticParameters is the one way to make them.
    bind: (parameters) => definition.bind(parameters as Parameters<typeof definition.bind>[0]),
  };
}
