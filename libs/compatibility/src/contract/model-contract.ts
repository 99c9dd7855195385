/** A tensor that goes in or comes out. */
export interface TensorContract {
  readonly name: string;
  readonly dataType: string;
  /** Sizes, or names of dimensions that vary. */
  readonly shape: readonly (number | string)[];
}

/** How texts become tokens. */
export interface TokenizerContract {
  readonly digest?: string;
  /** Token ids of the texts of a probe set, in its order; given for both versions or for none. */
  readonly probe?: readonly (readonly number[])[];
}

/** What callers of a version rely on, besides its answers. Absent fields are not known and not compared with known ones. */
export interface ModelContract {
  readonly task: string;
  readonly labels?: readonly string[];
  readonly inputs?: readonly TensorContract[];
  readonly outputs?: readonly TensorContract[];
  readonly tokenizer?: TokenizerContract;
  readonly maxTokens: number;
  /** How weights are stored, such as float32. */
  readonly dtype: string;
  readonly licence: string;
  /** Kind of expert, digest of its base, and what it was made of. */
  readonly lineage?: { readonly kind?: string; readonly base?: string; readonly parents?: readonly string[] };
  /** Whether labels exclude each other. */
  readonly problemType?: string;
  readonly pooling?: string;
  /** Address and name of a remote model. */
  readonly upstream?: string;
}

/** Whether callers break, may see other answers, or need not care. */
export type Severity = 'breaking' | 'risky' | 'safe';

/** What is compared. */
export type ContractField =
  | 'task'
  | 'labels'
  | 'inputs'
  | 'outputs'
  | 'tokenizer'
  | 'maxTokens'
  | 'dtype'
  | 'licence'
  | 'lineage'
  | 'problemType'
  | 'pooling'
  | 'upstream';

/** A difference between two versions. */
export interface ContractDifference {
  readonly field: ContractField;
  readonly change: 'added' | 'removed' | 'renamed' | 'reordered' | 'changed' | 'raised' | 'lowered';
  /** Label, tensor or part that it is about. */
  readonly name?: string;
  readonly severity: Severity;
  /** What it means for callers. */
  readonly sentence: string;
}
