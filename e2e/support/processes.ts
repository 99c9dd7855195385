import { readdirSync, readFileSync } from 'node:fs';

/** A process as the system lists it. */
export interface ProcessRow {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly command: string;
}

/** Every process that runs now; those that only wait to be collected are left out. */
export function processTable(): ProcessRow[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        // The command name is in parentheses and may hold spaces: what follows is counted from the last one.
        const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        if (state === 'Z' || state === 'X') return [];
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        return [{ pid: Number(name), parent: Number(parent), group: Number(group), command }];
      } catch {
        return [];
      }
    });
}

/** A process with all that descend from it. */
export function processTree(root: number): ProcessRow[] {
  const all = processTable();
  const tree = all.filter(({ pid }) => pid === root);
  for (const row of tree) tree.push(...all.filter(({ parent }) => parent === row.pid));
  return tree;
}

/**
 * Processes of a mesh by the data folder that their environment or command line names: they are found even when their parent
 * has gone.
 */
export function processesOf(dataFolder: string): ProcessRow[] {
  return processTable().filter(({ pid, command }) => {
    if (pid === process.pid) return false;
    if (command.includes(dataFolder)) return true;
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(dataFolder);
    } catch {
      return false;
    }
  });
}

/** Whether a process of this id runs. */
export function isRunning(pid: number): boolean {
  return processTable().some((row) => row.pid === pid);
}
