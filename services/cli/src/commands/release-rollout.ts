import { InvalidArgumentError, type Command } from 'commander';
import type { approveRelease } from '../actions/release-approve.js';
import type * as actions from '../actions/release-rollout.js';
import { gatewayVerb, meshVerb, numberIn, wholeNumber } from '../mesh-command.js';

const load = () => import('../actions/release-rollout.js');

/** `thalamus release start|status|list|advance|approve|promote|rollback`. */
export function rolloutCommands(): Command[] {
  return [
    startCommand(),
    withRelease('status', 'show where a release stands, what it waits for and what traffic says').action(
      async (...given: Parameters<typeof actions.status>) => (await load()).status(...given),
    ),
    meshVerb('list', 'list releases, newest first', ['thalamus release list --expert banking77'])
      .option('--expert <name>', 'only those of this expert')
      .option('--limit <count>', 'at most so many', wholeNumber(1, 1_000), 20)
      .action(async (...given: Parameters<typeof actions.list>) => (await load()).list(...given)),
    withRelease(
      'advance',
      'move a release one step on, whatever it waits for',
      ' --reason "no traffic at night"',
    )
      .requiredOption('--reason <text>', 'why, for the audit')
      .action(async (...given: Parameters<typeof actions.advance>) => (await load()).advance(...given)),
    gatewayVerb(
      'approve',
      'let rules of its gate that are inconclusive pass, with as many people as they ask for: a key counts once',
      ['thalamus release approve banking77-2-1f0c9a3e --reason "the missing items are of a dead label"'],
    )
      .argument('<release>', 'id')
      .requiredOption('--reason <text>', 'why, for the audit')
      .action(async (...given: Parameters<typeof approveRelease>) => {
        const { approveRelease: run } = await import('../actions/release-approve.js');
        return run(...given);
      }),
    promoteCommand(),
    withRelease(
      'rollback',
      'take a candidate back, also one that became stable',
      ' --reason "refunds are wrong"',
    )
      .option('--reason <text>', 'why, for the audit')
      .action(async (...given: Parameters<typeof actions.rollback>) => (await load()).rollback(...given)),
  ];
}

function startCommand(): Command {
  return meshVerb(
    'start',
    'begin the release of a version: compared, mirrored, then by steps, and taken back by itself when a limit is broken. Exit code 4 when it stops at once',
    [
      'thalamus release start banking77 2 --before old.jsonl --after new.jsonl',
      'thalamus release start banking77 2 --steps 0.1,0.5 --samples 500 --step-seconds 600',
      'thalamus release start banking77 2 --gate gate.yaml --before old.jsonl --after new.jsonl --dry-run',
      'thalamus release start banking77 2 --probes probes.jsonl',
      'thalamus release start banking77 2 --dry-run --json',
    ],
  )
    .argument('<expert>', 'name')
    .argument('<version>', 'version that should become stable')
    .option('--before <jsonl>', 'predictions of the stable version, or the digest of a stored file')
    .option('--after <jsonl>', 'predictions of the new version for the same items, likewise')
    .option(
      '--probes <jsonl>',
      'labelled items {id, text, label} that both versions are asked while it is live, or the digest of a stored file',
    )
    .option('--gate <yaml>', 'gate document: rules that it must pass, beside what is said here')
    .option('--steps <shares>', 'shares of the traffic, separated by commas; default 0.05,0.25,1', shares)
    .option('--budget <rate>', 'largest negative flip rate; default 0.01', numberIn(0, 1))
    .option('--samples <count>', 'requests that each step needs', wholeNumber(1, 1_000_000), 100)
    .option(
      '--step-seconds <seconds>',
      'how long each step lasts at the least',
      wholeNumber(1, 2_592_000),
      300,
    )
    .option(
      '--mirror <share>',
      'share of the stable traffic that the candidate answers as well; 0: none. Default 0.1, for chat 0',
      numberIn(0, 1),
    )
    .option(
      '--mirror-per-second <count>',
      'most mirrored requests of a gateway a second; 0: its own limit',
      numberIn(0, 1_000_000),
      0,
    )
    .option(
      '--disagreement <rate>',
      'largest share of mirrored requests that get another label; default 0.2',
      numberIn(0, 1),
    )
    .option('--errors <rate>', 'largest share of mirrored requests that fail; default 0.01', numberIn(0, 1))
    .option('--slower <share>', 'share of the time by which it may be slower', numberIn(0, 100), 0.5)
    .option(
      '--override <reason>',
      'go on in spite of an incompatible verdict, breaking differences, or what the gate says of both',
    )
    .option(
      '--dry-run',
      'check and compare, and begin no release; files are sent to the mesh all the same',
      false,
    )
    .action(async (...given: Parameters<typeof actions.start>) => (await load()).start(...given));
}

function promoteCommand(): Command {
  return meshVerb('promote', 'make a version the stable one: that of a release, or any with a reason', [
    'thalamus release promote banking77-2-1f0c9a3e',
    'thalamus release promote banking77 2 --reason "compared: no negative flips"',
  ])
    .argument('<what>', 'id of a release, or name of an expert')
    .argument('[version]', 'version of the expert')
    .option('--reason <text>', 'why, for the audit; required with a version')
    .action(async (...given: Parameters<typeof actions.promote>) => (await load()).promote(...given));
}

function withRelease(name: string, description: string, more = ''): Command {
  return meshVerb(name, description, [`thalamus release ${name} banking77-2-1f0c9a3e${more}`]).argument(
    '<release>',
    'id',
  );
}

function shares(text: string): number[] {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (values.every((value) => value > 0 && value <= 1)) return values;
  throw new InvalidArgumentError('shares above 0 and at most 1, such as 0.05,0.25,1.');
}
