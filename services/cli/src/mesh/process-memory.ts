import { readdirSync, readFileSync } from 'node:fs';

/** Memory of processes, in bytes. */
export interface ProcessMemory {
  /** Resident set; pages that several processes share are counted in each. */
  readonly rssBytes: number;
  /** Proportional set: shared pages divided by the number of processes that share them. */
  readonly pssBytes: number;
}

/** Memory of a process, and of its children unless it is to be counted alone. Zero where /proc is not there. */
export function memoryOfTree(pid: number, alone: boolean): ProcessMemory {
  const own = memoryOf(pid);
  if (alone) return own;
  return childrenOf(pid).reduce((sum, child) => {
    const part = memoryOfTree(child, false);
    return { rssBytes: sum.rssBytes + part.rssBytes, pssBytes: sum.pssBytes + part.pssBytes };
  }, own);
}

function memoryOf(pid: number): ProcessMemory {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kibibytes = (name: string) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
    return { rssBytes: kibibytes('Rss') * 1024, pssBytes: kibibytes('Pss') * 1024 };
  } catch {
    return { rssBytes: 0, pssBytes: 0 };
  }
}

function childrenOf(parent: number): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => parentOf(pid) === parent);
  } catch {
    return [];
  }
}

function parentOf(pid: number): number | undefined {
  try {
    // The command name is in parentheses and may hold spaces: what follows is counted from the last one.
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
