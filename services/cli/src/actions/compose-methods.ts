import { COMPOSITION_METHODS, parameterFacts } from '@thalamus/model-merge';
import { createOutput } from '../output.js';

/** Lists the merge methods with their parameters. */
export function methods({ json }: { readonly json: boolean }): void {
  const listed = COMPOSITION_METHODS.map((method) => ({
    name: method.name,
    reference: method.reference,
    parentKinds: method.parentKinds,
    parameters: parameterFacts(method).map(({ name, description, defaultValue, isPerModel, range }) => ({
      name,
      description,
      default: defaultValue ?? null,
      minimum: range?.minimum ?? null,
      maximum: range?.maximum ?? null,
      perParent: isPerModel,
    })),
  }));
  createOutput(json).answer(listed, () =>
    listed.flatMap(({ name, reference, parentKinds, parameters }) => [
      `${name}   of ${parentKinds.join(', ')}   ${reference}`,
      ...parameters.map(
        (parameter) => `  ${parameter.name} (${factsOf(parameter)}): ${parameter.description}`,
      ),
    ]),
  );
}

function factsOf(parameter: {
  readonly default: unknown;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly perParent: boolean;
}): string {
  const { default: value, minimum, maximum, perParent } = parameter;
  return (
    [
      ...(value === null ? [] : [`default ${typeof value === 'string' ? value : JSON.stringify(value)}`]),
      ...(minimum === null || maximum === null ? [] : [`${minimum} to ${maximum}`]),
      ...(perParent ? ['each parent may have its own'] : []),
    ].join(', ') || 'no default'
  );
}
