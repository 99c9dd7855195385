import type { MessageInitShape } from '@bufbuild/protobuf';
import type { composerV1 } from '@thalamus/contracts';
import { parameterFacts, type CompositionMethod } from '@thalamus/model-merge';

/** A merge method as clients see it. */
export function describeMethod(method: CompositionMethod): MessageInitShape<typeof composerV1.MethodSchema> {
  return {
    name: method.name,
    reference: method.reference,
    parentKinds: [...method.parentKinds],
    parameters: parameterFacts(method).map(({ name, description, defaultValue, isPerModel, range }) => ({
      name,
      description,
      defaultValue: typeof defaultValue === 'number' ? defaultValue : 0,
      defaultJson: defaultValue === undefined ? '' : JSON.stringify(defaultValue),
      minimum: range?.minimum ?? 0,
      maximum: range?.maximum ?? 0,
      perParent: isPerModel,
    })),
  };
}
