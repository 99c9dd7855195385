import { toThalamusError } from '@thalamus/errors';
import { Command, CommanderError } from 'commander';
import { askCommand } from './commands/ask.js';
import { composeCommand } from './commands/compose.js';
import { doctorCommand } from './commands/doctor.js';
import { eventsCommand } from './commands/events.js';
import { expertsCommand } from './commands/experts.js';
import { jobsCommand } from './commands/jobs.js';
import { keysCommand } from './commands/keys.js';
import { releaseCommand } from './commands/release.js';
import { routeCommand } from './commands/route.js';
import { upCommand } from './commands/up.js';
import { EXIT } from './exit-codes.js';
import { Unreachable } from './gateway-client.js';

const USAGE_CODES = new Set(['CONFIG_INVALID', 'FLAG_INVALID']);

const program = new Command('thalamus')
  .description('Sends each prompt to the model that will do best at it, and keeps the models honest.')
  .version('0.1.0')
  .showSuggestionAfterError()
  .exitOverride();
const commands = [
  upCommand(),
  doctorCommand(),
  askCommand(),
  routeCommand(),
  expertsCommand(),
  composeCommand(),
  releaseCommand(),
  jobsCommand(),
  keysCommand(),
  eventsCommand(),
];
for (const command of commands) program.addCommand(override(command));

try {
  await program.parseAsync();
} catch (fault) {
  process.exitCode = report(fault);
}

/** Commander leaves by throwing, so that every way out has its exit code. */
function override(command: Command): Command {
  command.exitOverride();
  for (const child of command.commands) override(child);
  return command;
}

function report(fault: unknown): number {
  if (fault instanceof CommanderError) return fault.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const json = process.argv.includes('--json');
  if (fault instanceof Unreachable) return say(json, 'UPSTREAM_UNAVAILABLE', fault.message, EXIT.unreachable);
  const error = toThalamusError(fault);
  const message =
    error.code === 'INTERNAL' && error.cause instanceof Error ? error.cause.message : error.message;
  const code =
    error.code === 'UPSTREAM_UNAVAILABLE'
      ? EXIT.unreachable
      : USAGE_CODES.has(error.code)
        ? EXIT.usage
        : EXIT.failed;
  return say(json, error.code, message, code);
}

function say(json: boolean, code: string, message: string, exitCode: number): number {
  process.stderr.write(json ? `${JSON.stringify({ error: { code, message } })}\n` : `thalamus: ${message}\n`);
  return exitCode;
}
