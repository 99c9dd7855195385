import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { LaunchedMesh } from '../support/mesh.js';
import { NODE, ROOT } from '../support/paths.js';
import { startCommand } from '../support/run-command.js';
import type { Block } from './pages.js';

/** Longest time for all blocks of a page; some install packages. */
const TIMEOUT_MS = 540_000;
const MARK = '@@ end of block';

/** What a block did. */
export interface BlockResult {
  readonly block: Block;
  readonly output: string;
  readonly exit: number | string;
}

/**
 * A folder that looks like a checkout, for commands that people type in one: what they write there is not written into the
 * repository.
 */
export function checkoutFolder(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const own = new Set(['data', '.cache', '.git']);
  for (const name of readdirSync(ROOT)) if (!own.has(name)) symlinkSync(join(ROOT, name), join(folder, name));
  return folder;
}

/**
 * Runs the blocks of a page in one shell, one after the other, as somebody who follows the page does; ends at the first that
 * fails. Addresses of the page are those of a mesh that was started with its defaults: they become the mesh's own.
 */
export async function runPage(
  blocks: readonly Block[],
  folder: string,
  mesh: LaunchedMesh | undefined,
): Promise<BlockResult[]> {
  const script = blocks.flatMap((block, index) => [at(mesh, block.script), `echo; echo "${MARK} ${index}"`]);
  const { exit, stdout } = await startCommand(
    'bash',
    ['-euo', 'pipefail', '-c', ['exec 2>&1', ...script].join('\n')],
    {
      workingFolder: folder,
      timeoutMs: TIMEOUT_MS,
      environment: {
        PATH: `${dirname(NODE)}:${process.env['PATH'] ?? ''}`,
        ...(mesh === undefined ? {} : { THALAMUS_HOME: mesh.dataFolder }),
      },
    },
  ).ended;
  const outputs = stdout.split(new RegExp(`${MARK} \\d+\\n`));
  // Blocks after one that failed did not run.
  return blocks.slice(0, outputs.length).flatMap((block, index) => {
    const isLast = index === outputs.length - 1;
    return [{ block, output: outputs[index] ?? '', exit: isLast ? exit : 0 }];
  });
}

function at(mesh: LaunchedMesh | undefined, script: string): string {
  if (!mesh) return script;
  return script
    .replaceAll('http://127.0.0.1:8080', mesh.http)
    .replaceAll('127.0.0.1:8080', new URL(mesh.http).host)
    .replaceAll('127.0.0.1:8081', mesh.grpc);
}
