import type { Argument, Command, Option } from 'commander';
import { EXIT, EXIT_MEANINGS, VERDICT_EXIT, VERDICT_EXIT_MEANINGS, VERDICT_VERBS } from './exit-codes.js';
import { examplesOf } from './mesh-command.js';
import { createProgram } from './program.js';

/** The reference page of the command line, as Markdown, from the command tree itself. */
export async function referencePage(): Promise<string> {
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  const codes = names.map((name) => `| ${EXIT[name]} | ${EXIT_MEANINGS[name]} |`);
  const verdicts = (Object.keys(VERDICT_EXIT) as (keyof typeof VERDICT_EXIT)[]).map(
    (name) => `| ${VERDICT_EXIT[name]} | ${VERDICT_EXIT_MEANINGS[name]} |`,
  );
  return [
    '# Command line',
    '`npx thalamus VERB` in the repository. Answers go to standard output, notes, errors and progress to standard error;',
    'with `--json` an answer is one JSON document, and an error is `{"error": {"code", "message"}}` with a code of the',
    '[error table](errors.md). Progress bars are drawn on a terminal only. `NO_COLOR` is honoured.',
    '',
    '`THALAMUS_HOME` names the data folder, `THALAMUS_URL` the gateway of another mesh, `THALAMUS_KEY` the API key.',
    '',
    '## Exit codes',
    '',
    '| code | meaning |',
    '| --- | --- |',
    ...codes,
    '',
    `${[...VERDICT_VERBS].map((verb) => `\`${verb}\``).join(', ')} answer with a verdict, and have exit codes of their own:`,
    '',
    '| code | meaning |',
    '| --- | --- |',
    ...verdicts,
    '',
    ...(await createProgram()).commands
      .flatMap((command) => leaves(command, 'thalamus'))
      .flatMap(([path, command]) => section(path, command)),
  ].join('\n');
}

/** Every verb that does something, with the words that lead to it. */
export function leaves(command: Command, parent: string): (readonly [path: string, command: Command])[] {
  const path = `${parent} ${command.name()}`;
  if (command.commands.length === 0) return [[path, command]];
  return command.commands.flatMap((child) => leaves(child, path));
}

function section(path: string, command: Command): string[] {
  const words = command.registeredArguments.map((argument) => usage(argument)).join(' ');
  return [
    `## ${path}`,
    '',
    `\`${[path, words, '[options]'].filter(Boolean).join(' ')}\`: ${command.description()}.`,
    '',
    ...command.registeredArguments.map((argument) => `- \`${usage(argument)}\`: ${argument.description}`),
    ...command.options.map((option) => `- \`${option.flags}\`: ${optionText(option)}`),
    '',
    '```sh',
    ...examplesOf(command),
    '```',
    '',
  ];
}

function usage(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function optionText({
  description,
  mandatory,
  argChoices,
  defaultValue,
  defaultValueDescription,
}: Option): string {
  const choices = argChoices === undefined ? '' : ` (${argChoices.join(', ')})`;
  const shown = defaultValueDescription ?? plain(defaultValue);
  return `${description}${choices}${mandatory ? ' (required)' : ''}${shown === '' ? '' : `; default: ${shown}`}`;
}

function plain(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
