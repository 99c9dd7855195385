/** Largest prompt that is routed, in UTF-8 bytes. */
export const MAX_PROMPT_BYTES = 1_048_576;
