import { JOB_KINDS } from '@thalamus/contracts';
import { Command, Option } from 'commander';
import type * as actions from '../actions/jobs.js';
import { meshVerb, wholeNumber } from '../mesh-command.js';

/** States of jobs, as they are typed. */
export const JOB_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;
/** A state of a job. */
export type JobStateName = (typeof JOB_STATES)[number];

const load = () => import('../actions/jobs.js');

/** `thalamus jobs list|show|watch|cancel`. */
export function jobsCommand(): Command {
  const command = new Command('jobs').description('long work: see it, follow it, cancel it');
  command.addCommand(
    meshVerb('list', 'list jobs, newest first', ['thalamus jobs list --state running'])
      .option('--kind <kind>', `only this kind: ${Object.values(JOB_KINDS).join(', ')}`)
      .addOption(new Option('--state <state>', 'only this state').choices(JOB_STATES))
      .option('--limit <count>', 'at most so many', wholeNumber(1, 1_000), 20)
      .action(async (...given: Parameters<typeof actions.list>) => (await load()).list(...given)),
  );
  command.addCommand(
    withId('show', 'show a job').action(async (...given: Parameters<typeof actions.show>) =>
      (await load()).show(...given),
    ),
  );
  command.addCommand(
    withId('watch', 'follow a job to its end; Ctrl-C leaves it to itself').action(
      async (...given: Parameters<typeof actions.watch>) => (await load()).watch(...given),
    ),
  );
  command.addCommand(
    withId('cancel', 'end a job; a running one ends at its next sign of life').action(
      async (...given: Parameters<typeof actions.cancel>) => (await load()).cancel(...given),
    ),
  );
  return command;
}

function withId(name: string, description: string): Command {
  return meshVerb(name, description, [`thalamus jobs ${name} 0199c1d2`]).argument(
    '<job>',
    'id, or how it begins',
  );
}
