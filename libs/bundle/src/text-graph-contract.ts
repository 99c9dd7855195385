/** Inputs that are made of tokens, int64 [batch, sequence]; a graph has the first and may have the others. */
export const TOKEN_INPUTS = { ids: 'input_ids', mask: 'attention_mask', types: 'token_type_ids' } as const;

/** Input of a masked language model that scores masked places alone, int64 [masked]: row times length plus place. */
export const MASKED_POSITIONS = 'masked_positions';

/** Output of classifiers, float32 [batch, labels], and of masked language models, [batch, sequence, vocabulary]. */
export const LOGITS = 'logits';

/** Outputs [batch, sequence, width] that hold a vector for each token, under the names that exporters give. */
export const TOKEN_STATES: readonly string[] = ['last_hidden_state', 'token_embeddings'];

/** Outputs [batch, width] that hold a vector for each text. */
export const TEXT_VECTORS: readonly string[] = ['embedding', 'sentence_embedding', 'pooler_output'];
