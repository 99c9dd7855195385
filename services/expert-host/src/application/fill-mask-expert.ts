import type { ExpertManifest } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { MaskToken, SubmitOptions, Tokenizer, TokenRow } from '@thalamus/inference';
import { TWIN_VALUES } from '@thalamus/model-merge';
import { tensor, type Tensor } from '@thalamus/tensor';
import type { ParameterSpecs } from '../domain/oip-parameters.js';
import type { Filling } from './fillings.js';
import { InferenceMeter } from './inference-meter.js';
import {
  facts,
  type ExpertAnswer,
  type ExpertValue,
  type InferOptions,
  type ServedExpert,
  type TextFacts,
} from './served-expert.js';
import { invalidInput, TEXT_INPUT, textsOf } from './text-input.js';

const { routerWeights: ROUTER_WEIGHTS, parent: PARENT } = TWIN_VALUES;

/** Masked places of a text, and how many tokens are wanted for each. */
export interface MaskedText {
  readonly positions: readonly number[];
  readonly topK: number;
}

/** Whose weights a composed model ran a text through. */
export interface Routed {
  /** float32 [parents]: what the router inside the graph gave to each. */
  readonly weights: Float32Array;
  /** Index of the parent of the largest weight. */
  readonly parent: number;
}

/** What came back for one text: a filling for each masked place, in the order of the text. */
export type FilledText = TextFacts & { readonly fillings: readonly Filling[]; readonly routed?: Routed };

/** A masked language model that is loaded. */
export interface MaskFiller {
  readonly tokenizer: Tokenizer;
  readonly mask: MaskToken;
  /** Of a composed model, in the order of its router's weights: its answers say how they were routed. */
  readonly parents?: readonly string[];
  readonly memoryBytes: number;
  readonly ownBytes: number;
  /** `maskedOf` may refuse a text. */
  submit(
    texts: readonly string[],
    maskedOf: (index: number, tokens: TokenRow) => MaskedText,
    meter: InferenceMeter,
    options: SubmitOptions,
  ): Promise<readonly FilledText[]>;
  release(): Promise<void>;
}

/** Tokens for each mask when the request does not say, as in Hugging Face's pipeline. */
const TOP_K = 5;
/** Most tokens for each mask. */
const MAX_TOP_K = 1_000;
/** Most masked places of a text: each is scored against the whole vocabulary. */
const MAX_MASKS = 64;

/**
 * Fills masks, with the outputs of Hugging Face's `fill-mask` pipeline: a row of `token`, `token_str` and `score` for each mask, in
 * the order of texts and places, and `text_index`, the text that the mask stands in. A composed model also gives `router_weights` and
 * `parent`, a row for each text, as a composed classifier does.
 */
export class FillMaskExpert implements ServedExpert {
  readonly inputs = [TEXT_INPUT];
  readonly outputs: readonly ExpertValue[];
  readonly parameters: ParameterSpecs = { top_k: { kind: 'count', most: MAX_TOP_K } };
  readonly meter = new InferenceMeter();
  readonly memoryBytes: number;
  readonly ownBytes: number;

  constructor(
    readonly manifest: ExpertManifest,
    private readonly filler: MaskFiller,
  ) {
    this.memoryBytes = filler.memoryBytes;
    this.ownBytes = filler.ownBytes;
    const { parents } = filler;
    this.outputs = [
      { name: 'token', datatype: 'INT64', shape: [-1, -1] },
      { name: 'token_str', datatype: 'BYTES', shape: [-1, -1] },
      { name: 'score', datatype: 'FP32', shape: [-1, -1] },
      { name: 'text_index', datatype: 'INT64', shape: [-1] },
      ...(parents
        ? ([
            { name: ROUTER_WEIGHTS, datatype: 'FP32', shape: [-1, parents.length] },
            { name: PARENT, datatype: 'BYTES', shape: [-1] },
          ] as const)
        : []),
    ];
  }

  async infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer> {
    const texts = textsOf(inputs);
    const { mask } = this.filler;
    texts.forEach((text, index) => {
      if (!text.includes(mask.text)) throw invalidInput('text', `element ${index} holds no ${mask.text}`);
    });
    const asked = options.parameters.get('top_k');
    const topK = typeof asked === 'number' ? asked : TOP_K;
    const maskedOf = (index: number, tokens: TokenRow) => ({ positions: this.masksOf(index, tokens), topK });
    const answers = await this.filler.submit(texts, maskedOf, this.meter, options);
    const outputs = await this.tensors(answers);
    if (this.filler.parents) addRouted(outputs, answers, this.filler.parents);
    return { outputs, ...facts(answers) };
  }

  release(): Promise<void> {
    return this.filler.release();
  }

  private masksOf(index: number, { ids, truncated }: TokenRow): number[] {
    const { id, text } = this.filler.mask;
    const positions = [...ids.keys()].filter((position) => ids[position] === id);
    if (positions.length > MAX_MASKS)
      throw invalidInput(
        'text',
        `element ${index} holds ${positions.length} times ${text}; at most ${MAX_MASKS} are filled`,
      );
    if (positions.length === 0)
      throw invalidInput(
        'text',
        truncated
          ? `element ${index} has its ${text} beyond the first ${ids.length} tokens, which are all that are read`
          : `element ${index} holds no ${text}`,
      );
    return positions;
  }

  private async tensors(answers: readonly FilledText[]): Promise<Map<string, Tensor>> {
    const rows = answers.flatMap(({ fillings }, index) => fillings.map((filling) => ({ index, filling })));
    const tokens = rows.flatMap(({ filling }) => filling.tokens);
    const shape = [rows.length, rows[0]?.filling.tokens.length ?? 0];
    const indices = BigInt64Array.from(rows, ({ index }) => BigInt(index));
    return new Map<string, Tensor>([
      ['token', tensor('int64', shape, BigInt64Array.from(tokens, BigInt))],
      ['token_str', tensor('string', shape, await this.filler.tokenizer.tokenTexts(tokens))],
      ['score', tensor('float32', shape, Float32Array.from(rows.flatMap(({ filling }) => filling.scores)))],
      ['text_index', tensor('int64', [rows.length], indices)],
    ]);
  }
}

/** Adds whose weights each text was run through. */
function addRouted(
  outputs: Map<string, Tensor>,
  answers: readonly FilledText[],
  parents: readonly string[],
): void {
  const weights = new Float32Array(answers.length * parents.length);
  answers.forEach(({ routed }, index) => {
    if (routed) weights.set(routed.weights, index * parents.length);
  });
  outputs.set(ROUTER_WEIGHTS, tensor('float32', [answers.length, parents.length], weights));
  const names = answers.map(({ routed }) => parents[routed?.parent ?? -1] ?? '');
  outputs.set(PARENT, tensor('string', [answers.length], names));
}

/** The mask of an expert's tokenizer. @throws BUNDLE_INVALID for a tokenizer without one */
export function maskOf(name: string, tokenizer: Tokenizer): MaskToken {
  const { mask } = tokenizer;
  if (mask) return mask;
  throw new ThalamusError(
    'BUNDLE_INVALID',
    `${name} is for fill-mask, but its tokenizer has neither [MASK] nor <mask>; export it with the tokenizer that it was trained with.`,
  );
}
