import { Command } from 'commander';
import { readFileSync } from 'node:fs';

/** Every verb in the order of the help, and where it is made. */
const VERBS: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import('./commands/up.js')).upCommand(),
  doctor: async () => (await import('./commands/doctor.js')).doctorCommand(),
  ask: async () => (await import('./commands/ask.js')).askCommand(),
  chat: async () => (await import('./commands/chat.js')).chatCommand(),
  route: async () => (await import('./commands/route.js')).routeCommand(),
  router: async () => (await import('./commands/router.js')).routerCommand(),
  experts: async () => (await import('./commands/experts.js')).expertsCommand(),
  compose: async () => (await import('./commands/compose.js')).composeCommand(),
  release: async () => (await import('./commands/release.js')).releaseCommand(),
  jobs: async () => (await import('./commands/jobs.js')).jobsCommand(),
  keys: async () => (await import('./commands/keys.js')).keysCommand(),
  events: async () => (await import('./commands/events.js')).eventsCommand(),
  zoo: async () => (await import('./commands/zoo.js')).zooCommand(),
};

/**
 * The command tree. It leaves by throwing, so that every way out has its exit code; errors are printed by the caller.
 * Where `args` begin with a verb, that verb alone is read: most of the code is of others, and a launcher would keep it for days.
 */
export async function createProgram(args: readonly string[] = []): Promise<Command> {
  const program = new Command('thalamus')
    .description('Sends each prompt to the model that will do best at it, and keeps the models honest.')
    .version(version(), '--version', 'print the version')
    .helpCommand('help [verb]', 'say what a verb does and takes')
    .addHelpText('after', '\n"thalamus VERB --help" shows the options of a verb, with examples.');
  const [name = ''] = args;
  const own = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  const wanted = own ? [own] : Object.values(VERBS);
  for (const command of await Promise.all(wanted.map((make) => make()))) program.addCommand(command);
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
