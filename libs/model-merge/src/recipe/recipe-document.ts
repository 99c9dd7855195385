/** A value in a recipe. */
export type Scalar = number | boolean | string;

/** One rule of a setting. */
export interface SettingRule {
  /** Part of a tensor's name that it is for; undefined for all tensors. */
  readonly filter: string | undefined;
  /** One value, or the points of a gradient from the first layer to the last. */
  readonly values: readonly Scalar[];
}

/** The value of a parameter: the first rule whose filter fits a tensor decides. */
export type Setting = readonly SettingRule[];

/** Settings by name of parameter. */
export type Settings = Readonly<Record<string, Setting>>;

/** A model by name. */
export interface ModelReference {
  readonly name: string;
  /** Empty for the stable one. */
  readonly version: string;
}

/** One of the models that are merged. */
export interface RecipeModel extends ModelReference {
  /** Settings of this model alone. */
  readonly settings: Settings;
}

/** What merged weights are stored as; they are computed in float32 whatever it is. mergekit knows no int8. */
export type RecipeDataType = 'float32' | 'float16' | 'int8';

/** A recipe that was read and found to say what its method needs. */
export interface RecipeDocument {
  /** Name in `COMPOSITION_METHODS`. */
  readonly method: string;
  /** Undefined when the method takes none, or finds it itself. */
  readonly base: ModelReference | undefined;
  /** In the order of the recipe, the base left out. */
  readonly models: readonly RecipeModel[];
  /** Settings for all models; those of a model go first. */
  readonly settings: Settings;
  /** Undefined: that of the base. */
  readonly dtype: RecipeDataType | undefined;
}
