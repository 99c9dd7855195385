import type { Command } from 'commander';
import type * as actions from '../actions/router-mesh.js';
import { meshVerb } from '../mesh-command.js';

const load = () => import('../actions/router-mesh.js');

/** `thalamus router list|promote|rollback`: the router models of a mesh. */
export function routerMeshCommands(): Command[] {
  return [
    meshVerb('list', 'list the router models of the mesh, by task; those that decide first', [
      'thalamus router list',
      'thalamus router list --json',
    ]).action(async (...given: Parameters<typeof actions.listRouters>) =>
      (await load()).listRouters(...given),
    ),
    meshVerb(
      'promote',
      'make a router model the one that decides for its task. Where another decides, that needs a comparison of both that passed, or a reason',
      [
        'thalamus router promote ./router-2 --comparison comparison.json',
        'thalamus router promote zoo-router@2 --reason "the old one sends refunds astray"',
      ],
    )
      .argument('<model>', 'folder of a router model, which is registered first; or name@version of the mesh')
      .option(
        '--comparison <file>',
        'what "thalamus router compare --json" printed of both, or the digest of a stored one',
      )
      .option(
        '--reason <text>',
        'why it may decide without a comparison, or in spite of its verdict; for the audit',
      )
      .action(async (...given: Parameters<typeof actions.promoteRouter>) =>
        (await load()).promoteRouter(...given),
      ),
    meshVerb('rollback', 'take back the router model that decides; the one before it decides again', [
      'thalamus router rollback zoo-router@2 --reason "refunds go astray"',
    ])
      .argument('<model>', 'name@version of the one that decides')
      .requiredOption('--reason <text>', 'why, for the audit')
      .action(async (...given: Parameters<typeof actions.rollBackRouter>) =>
        (await load()).rollBackRouter(...given),
      ),
  ];
}
