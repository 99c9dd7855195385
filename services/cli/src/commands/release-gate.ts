import { Command, Option } from 'commander';
import type { GateCheckOptions, ShowGateOptions } from '../actions/release-gate.js';
import { collect, meshVerb, verb } from '../mesh-command.js';

/** `thalamus release gate check|show`. */
export function gateCommand(): Command {
  return new Command('gate')
    .description('rules that an update must pass')
    .addCommand(checkCommand())
    .addCommand(
      verb('show', 'print a default gate, to be changed and kept', [
        'thalamus release gate show',
        'thalamus release gate show --kind router --json',
      ])
        .addOption(
          new Option('--kind <kind>', 'expert: for versions of experts; router: for router models')
            .choices(['expert', 'router'])
            .default('expert'),
        )
        .option('--json', 'print one JSON document', false)
        .action(async (options: ShowGateOptions) => {
          const { showGate } = await import('../actions/release-gate.js');
          showGate(options);
        }),
    );
}

function checkCommand(): Command {
  return meshVerb(
    'check',
    'judge an update by a gate and do nothing else: rules whose evidence is not given are left out. Exit code 0 passed, 1 failed, 2 inconclusive, 3 error',
    [
      'thalamus release gate check --before old.jsonl --after new.jsonl',
      'thalamus release gate check gate.yaml --before old.jsonl --after new.jsonl --slices label,tenant --json',
      'thalamus release gate check gate.yaml --from ./intents-1 --to ./intents-2 --figures measured.json',
    ],
  )
    .argument('[gate]', 'YAML or JSON document; default: the one that "thalamus release gate show" prints')
    .option(
      '--before <jsonl>',
      'predictions of the old version, as for "thalamus release compare": evidence "offline"',
    )
    .option('--after <jsonl>', 'predictions of the new version')
    .option('--slices <names>', 'slices of the predictions, as for "thalamus release compare"')
    .option('--from <version>', 'the old version, as for "thalamus release diff": evidence "contract"')
    .option('--to <version>', 'the new version')
    .option('--override <reason>', 'why callers may break')
    .option(
      '--figures <json>',
      'measured figures by evidence and measure: {"shadow": {"errorRate": {"value", "n", "low"?, "high"?, "pValue"?}}}',
    )
    .option('--approve <name>', 'who approves; may be repeated', collect, [])
    .action(async (gate: string | undefined, options: GateCheckOptions) => {
      const { checkGate } = await import('../actions/release-gate.js');
      await checkGate(gate, options);
    });
}
