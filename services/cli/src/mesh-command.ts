import { Command, InvalidArgumentError } from 'commander';
import type { MeshOptions } from './gateway-client.js';
import { defaultDataFolder } from './mesh/mesh-file.js';
import { createOutput, type Output } from './output.js';

/** Options of every command that talks to a mesh. */
export interface CommonOptions extends MeshOptions {
  readonly json: boolean;
}

/** A command that talks to a mesh: --json, --data, --url, --key. */
export function meshCommand(name: string, description: string): Command {
  // eslint-disable-next-line no-restricted-syntax -- the command line is where its environment is read
  const environment = process.env;
  return new Command(name)
    .description(description)
    .option('--json', 'print one JSON document', false)
    .option('--data <folder>', 'data folder of the mesh', defaultDataFolder(environment))
    .option('--url <url>', 'gateway of another mesh, such as http://host:8080', environment['THALAMUS_URL'])
    .option('--key <key>', 'API key; default: the local mesh’s administrator', environment['THALAMUS_KEY']);
}

/** Where the answer goes. */
export function outputOf(options: CommonOptions): Output {
  return createOutput(options.json);
}

/** Parses a whole number of a range. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Collects an option that may be given several times. */
export function collect(value: string, previous: string[] = []): string[] {
  return [...previous, value];
}
