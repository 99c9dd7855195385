import { ThalamusError } from '@thalamus/errors';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { MeshOptions } from './gateway-client.js';
import { defaultDataFolder } from './mesh/mesh-file.js';
import { createOutput, type Output } from './output.js';

/** Options of every command that talks to a mesh. */
export interface CommonOptions extends MeshOptions {
  readonly json: boolean;
}

const examples = new WeakMap<Command, readonly string[]>();

/** A verb with examples, which its help and the reference page show. */
export function verb(name: string, description: string, shown: readonly string[]): Command {
  const command = new Command(name).description(description);
  examples.set(command, shown);
  command.addHelpText('after', `\nExamples:\n${shown.map((line) => `  $ ${line}`).join('\n')}`);
  return command;
}

/** Examples of a verb. */
export function examplesOf(command: Command): readonly string[] {
  return examples.get(command) ?? [];
}

/** A verb for the mesh of a data folder on this machine: --json, --data. */
export function meshVerb(name: string, description: string, shown: readonly string[]): Command {
  return verb(name, description, shown)
    .option('--json', 'print one JSON document', false)
    .addOption(dataFolderOption('--data', 'data folder of the mesh'));
}

/** The option that names the data folder of a mesh. */
export function dataFolderOption(flag: string, description: string): Option {
  // eslint-disable-next-line no-restricted-syntax -- the command line is where its environment is read
  const folder = defaultDataFolder(process.env);
  return new Option(`${flag} <folder>`, description).default(
    folder,
    'THALAMUS_HOME, else data in the repository',
  );
}

/** A verb for the gateway of any mesh: also --url and --key. */
export function gatewayVerb(name: string, description: string, shown: readonly string[]): Command {
  return meshVerb(name, description, shown)
    .option('--url <url>', 'gateway of another mesh, such as http://host:8080; default: THALAMUS_URL')
    .option('--key <key>', 'API key; default: THALAMUS_KEY, else the administrator’s of the local mesh');
}

/** Where the answer goes. */
export function outputOf(options: Pick<CommonOptions, 'json'>): Output {
  return createOutput(options.json);
}

/** Parses a whole number of a range. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Parses a number of a range; from `Number.MIN_VALUE` means above 0. */
export function numberIn(min: number, max: number): (text: string) => number {
  const range = min === Number.MIN_VALUE ? `greater than 0 and at most ${max}` : `from ${min} to ${max}`;
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max))
      throw new InvalidArgumentError(`It must be a number ${range}.`);
    return value;
  };
}

/** Collects an option that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}

/** What would have no effect is said, not passed over. @throws CONFIG_INVALID for options that were typed though they are idle */
export function refuseGiven(command: Command, idle: ReadonlySet<string>, reason: string): void {
  const given = command.options.filter((option) => {
    const name = option.attributeName();
    return idle.has(name) && command.getOptionValueSource(name) === 'cli';
  });
  if (given.length === 0) return;
  const names = given.map(({ long }) => long).join(', ');
  throw new ThalamusError('CONFIG_INVALID', `${names}: ${reason}.`);
}
