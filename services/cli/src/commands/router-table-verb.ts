import type { Command } from 'commander';
import { verb, wholeNumber } from '../mesh-command.js';

/** A verb that reads a loss table with the base in this process: --table, --base, --vectors, --threads, --json. */
export function tableVerb(name: string, description: string, shown: readonly string[]): Command {
  return verb(name, description, shown)
    .requiredOption(
      '--table <file>',
      'JSONL, plain or gzip: a meta line, then prompt and scores or losses a line',
    )
    .option('--base <folder>', 'base that the encoder is made from; default: zoo/base/minilm-l6')
    .option(
      '--vectors <folder>',
      'keep the vectors of the base for the prompts of a table here, and read them again',
    )
    .option(
      '--threads <n>',
      'threads of one operator; default: as many as there are cores, at most 4',
      wholeNumber(1, 64),
    )
    .option('--json', 'print one JSON document', false);
}
