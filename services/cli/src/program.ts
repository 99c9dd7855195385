import { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { askCommand } from './commands/ask.js';
import { chatCommand } from './commands/chat.js';
import { composeCommand } from './commands/compose.js';
import { doctorCommand } from './commands/doctor.js';
import { eventsCommand } from './commands/events.js';
import { expertsCommand } from './commands/experts.js';
import { jobsCommand } from './commands/jobs.js';
import { keysCommand } from './commands/keys.js';
import { releaseCommand } from './commands/release.js';
import { routeCommand } from './commands/route.js';
import { routerCommand } from './commands/router.js';
import { upCommand } from './commands/up.js';
import { zooCommand } from './commands/zoo.js';

/** The command tree. It leaves by throwing, so that every way out has its exit code; errors are printed by the caller. */
export function createProgram(): Command {
  const program = new Command('thalamus')
    .description('Sends each prompt to the model that will do best at it, and keeps the models honest.')
    .version(version(), '--version', 'print the version')
    .helpCommand('help [verb]', 'say what a verb does and takes')
    .addHelpText('after', '\n"thalamus VERB --help" shows the options of a verb, with examples.');
  const commands = [
    upCommand(),
    doctorCommand(),
    askCommand(),
    chatCommand(),
    routeCommand(),
    routerCommand(),
    expertsCommand(),
    composeCommand(),
    releaseCommand(),
    jobsCommand(),
    keysCommand(),
    eventsCommand(),
    zooCommand(),
  ];
  for (const command of commands) program.addCommand(command);
  leaveByThrowing(program);
  return program;
}

/** The verb that a command line names, as it is typed: as far as it is known. */
export function verbOf(program: Command, args: readonly string[]): string {
  let command = program;
  const words = [program.name()];
  for (const word of args) {
    const child = command.commands.find((item) => item.name() === word);
    if (!child) break;
    command = child;
    words.push(word);
  }
  return words.join(' ');
}

function leaveByThrowing(command: Command): void {
  command.exitOverride().configureOutput({ outputError: () => undefined });
  for (const child of command.commands) leaveByThrowing(child);
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return (manifest as { version: string }).version;
}
