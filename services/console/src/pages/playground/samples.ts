/** Prompts to begin with, one for each kind of expert in the zoo. */
export const SAMPLES = [
  'I lost my card, please block it',
  'Book a table for two in Lisbon tonight',
  'Either party may terminate this Agreement upon thirty days notice',
  'We therefore overrule our earlier decision in that case',
  'The patient denies chest pain and takes metformin daily',
  'Which law of thermodynamics forbids perpetual motion?',
] as const;
