import { readdirSync, readFileSync } from 'node:fs';

/** Milliseconds of one tick of /proc: a hundred a second, on every Linux that Node runs on. */
const TICK_MS = 10;
const PAGE_BYTES = 4096;

/**
 * CPU time so far, with that of children that have ended, and resident memory of a process and all that descend from it.
 * CPU in milliseconds, memory in MB; `byName` has the CPU of each process that still runs.
 */
export function useOfTree(root) {
  const all = readTable();
  const tree = all.filter(({ pid }) => pid === root);
  for (const row of tree) tree.push(...all.filter(({ parent }) => parent === row.pid));
  return {
    cpuMs: sum(tree, ({ cpuMs }) => cpuMs),
    residentMb: sum(tree, ({ residentMb }) => residentMb),
    processes: tree.map(({ pid, cpuMs }) => ({ pid, cpuMs })),
  };
}

function readTable() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        // The name of the command is in parentheses and may hold spaces: fields are counted from the last one.
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const ticks = fields.slice(11, 15).map(Number);
        return [
          {
            pid: Number(name),
            parent: Number(fields[1]),
            cpuMs: sum(ticks, (value) => value) * TICK_MS,
            residentMb: (Number(fields[21]) * PAGE_BYTES) / 1e6,
          },
        ];
      } catch {
        return []; // It has ended meanwhile.
      }
    });
}

function sum(items, valueOf) {
  return items.reduce((total, item) => total + valueOf(item), 0);
}
