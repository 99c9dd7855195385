import { LOSS_TABLE_LIMITS } from '@thalamus/contracts';
import type { Command } from 'commander';
import type { LocalTableOptions } from '../actions/router-table-local.js';
import type { MeshTableOptions } from '../actions/router-table.js';
import { NO_LICENCE_STATED } from '../jobs/no-licence-stated.js';
import { dataFolderOption, refuseGiven, verb, wholeNumber } from '../mesh-command.js';
import { isBundleFolder } from '../training/bundle-folder.js';

const { maxMasks, maxParts } = LOSS_TABLE_LIMITS;
/** Options of jobs alone, and of this process alone, by attribute. */
const JOB_ALONE = new Set(['parts', 'detach', 'mesh']);
const LOCAL_ALONE = new Set(['threads', 'restart']);
const OF_FOLDERS =
  'folders are measured in this process, which has no such option; leave it away, or name experts of the mesh';
const OF_THE_MESH =
  'experts of the mesh are measured by workers, which have no such option; leave it away, or name folders such as ./expert';

/** `thalamus router table`. */
export function tableCommand(): Command {
  const command = verb(
    'table',
    'measure what each expert loses on each prompt, and write the table that routers are trained on: folders in this process, experts of the mesh as jobs',
    [
      'thalamus router table --experts zoo/language-models/mlm-clinical,zoo/language-models/mlm-patents --prompts texts.jsonl --out T.jsonl.gz',
      'thalamus router table --experts zoo/experts/snips7 zoo/experts/banking77 --prompts labelled.jsonl --out T.jsonl.gz --json',
      'thalamus router table --experts snips7,banking77@1 --prompts labelled.jsonl --out T.jsonl.gz --parts 4',
    ],
  )
    .requiredOption(
      '--experts <names...>',
      'of one task, with spaces or commas between them: folders of bundles; or experts of the mesh, name or name@version (default: the stable one)',
      separated,
    )
    .requiredOption(
      '--prompts <jsonl>',
      'an object a line: text, and label for text-classification; optionally id, group and domain',
    )
    .requiredOption('--out <file>', 'file of the table, packed by gzip; must not be there yet')
    .option(
      '--masks <n>',
      'fill-mask: disjoint masks of a prompt, each of 15 % of its word pieces',
      wholeNumber(1, maxMasks),
      4,
    )
    .option('--seed <seed>', 'fill-mask: draws the masks', wholeNumber(0, 2_147_483_647), 0)
    .option('--set <name>', 'what the table is called; default: the name of the file of prompts')
    .option('--licence <spdx>', 'licence of the prompts', NO_LICENCE_STATED)
    .option('--origin <text>', 'where the prompts come from', 'not stated')
    .option(
      '--base <base>',
      'base that the experts stand on: a folder, default zoo/base/minilm-l6; of the mesh name@version, default that of the experts',
    )
    .option(
      '--threads <n>',
      'of folders: threads of one operator; default: as many as there are cores, at most 4',
      wholeNumber(1, 64),
    )
    .option('--restart', 'of folders: forget what an interrupted run has measured', false)
    .option(
      '--parts <n>',
      'of the mesh: jobs that the table is spread over; default: one for each worker, at least 2',
      wholeNumber(1, maxParts),
    )
    .option('--detach', 'of the mesh: submit the jobs and return', false)
    .option('--json', 'print one JSON document', false)
    .addOption(dataFolderOption('--mesh', 'data folder of the mesh'));
  return command.action(async (options: LocalTableOptions & MeshTableOptions) => {
    if (options.experts.length === 0 || options.experts.some(isBundleFolder)) {
      refuseGiven(command, JOB_ALONE, OF_FOLDERS);
      await (await import('../actions/router-table-local.js')).routerTableLocal(options);
      return;
    }
    refuseGiven(command, LOCAL_ALONE, OF_THE_MESH);
    await (await import('../actions/router-table.js')).routerTable(options);
  });
}

/** Collects names with commas between them, of one or several arguments. */
function separated(value: string, previous: readonly string[] = []): string[] {
  return [...previous, ...value.split(',').filter((name) => name !== '')];
}
