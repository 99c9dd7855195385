import type { ParametersOfTensor } from '../static/static-merge.js';
import type { StaticMethod } from '../static/static-method.js';
import type { RecipeDocument, Scalar, Setting, Settings } from './recipe-document.js';

/** Number of the layer in names such as `encoder.layer.3.output.weight`. */
const LAYER = /(?:^|\.)(?:layers?|blocks?|h)\.(\d+)\./;

/**
 * Parameters that a recipe gives to a static merge. Models are named `name`, or `name@version`. Where neither filters nor
 * gradients are used they are the same for all tensors, as methods with statistics of the whole model want it.
 * @param layers how many layers the model has; a gradient runs from layer 0 to layer `layers` - 1, tensors outside have its start
 */
export function recipeParameters(
  method: StaticMethod,
  { models, settings }: RecipeDocument,
  layers: number,
): ParametersOfTensor {
  const of = (names: readonly string[], sources: readonly Settings[], tensor: string, t: number) =>
    Object.fromEntries(
      names.flatMap((name) => {
        const values = sources.flatMap((source) => {
          const setting = source[name];
          const value = setting && valueOf(setting, tensor, t);
          return value === undefined ? [] : [value];
        });
        return values.slice(0, 1).map((value) => [name, value]);
      }),
    );
  const parameters = (tensor: string) => {
    const t = placeOf(tensor, layers);
    return {
      shared: of(Object.keys(method.shared.shape), [settings], tensor, t),
      parents: models.map(({ name, version, settings: own }) => ({
        name: version === '' ? name : `${name}@${version}`,
        parameters: of(Object.keys(method.perParent.shape), [own, settings], tensor, t),
      })),
    };
  };
  const all = [settings, ...models.map((model) => model.settings)].flatMap((each) => Object.values(each));
  const isVaried = all.some((setting) =>
    setting.some(({ filter, values }) => filter !== undefined || values.length > 1),
  );
  return isVaried ? parameters : parameters('');
}

/** Where a tensor stands in a gradient, 0 to 1. */
function placeOf(tensor: string, layers: number): number {
  const layer = LAYER.exec(tensor)?.[1];
  if (layer === undefined) return 0;
  return layers > 1 ? Math.min(1, Number(layer) / (layers - 1)) : 1;
}

/** Value of the first rule that is for the tensor; undefined when none is. Numbers are interpolated, all else is stepped. */
function valueOf(setting: Setting, tensor: string, t: number): Scalar | undefined {
  const rule = setting.find(({ filter }) => filter === undefined || tensor.includes(filter));
  if (!rule) return undefined;
  const { values } = rule;
  const at = t * (values.length - 1);
  const low = Math.trunc(at);
  const [from, to] = [values[low], values[Math.min(values.length - 1, low + 1)]];
  const isNumeric = values.every((value) => typeof value === 'number');
  if (!isNumeric || typeof from !== 'number' || typeof to !== 'number') return from;
  return (1 - (at - low)) * from + (at - low) * to;
}
