import type { HostedVersion, HostMemory, HostProcess, HostRow } from '../../api/types.js';

/** A share of a bar. */
export interface Share {
  readonly kind: 'shared' | 'own';
  readonly bytes: number;
  /** Of the limit, 0 to 100. */
  readonly percent: number;
}

/** Versions that run in one process, or those that run in none. */
export interface Group {
  /** Name of the process; empty for what is not loaded. */
  readonly name: string;
  /** The process, and those that help it while many ask; none for what is not loaded. */
  readonly processes: readonly HostProcess[];
  readonly versions: readonly HostedVersion[];
}

/** What a state is called, in which colour, and what it means. */
export const STATES = {
  ready: { text: 'ready', colour: 'sage', meaning: 'In memory; it answers at once.' },
  loading: { text: 'loading', colour: 'yellow', meaning: 'It is being loaded; requests wait for it.' },
  draining: { text: 'leaving', colour: 'yellow', meaning: 'It is let go after its last request.' },
  registered: {
    text: 'on demand',
    colour: 'gray',
    meaning: 'Not in memory; the first request that asks for it loads it.',
  },
  failed: { text: 'failed', colour: 'red', meaning: 'It could not be loaded.' },
} as const;

/** What is used of a limit: bases first, since others stand on them. */
export function sharesOf({ limitBytes, ownBytes, sharedBytes }: HostMemory): Share[] {
  const percent = (bytes: number) => (limitBytes > 0 ? Math.min(100, (100 * bytes) / limitBytes) : 0);
  return [
    { kind: 'shared', bytes: sharedBytes, percent: percent(sharedBytes) },
    { kind: 'own', bytes: ownBytes, percent: percent(ownBytes) },
  ];
}

/** Versions by the process that they run in, the fullest process first; then what is not loaded. */
export function groupsOf({ memory, versions }: HostRow): Group[] {
  const known = Map.groupBy(memory?.processes ?? [], ({ name }) => name);
  const weight = ({ processes }: Group) => processes[0]?.openBytes ?? 0;
  return [...Map.groupBy(versions, ({ process }) => process)]
    .map(([name, its]) => ({
      name,
      processes: known.get(name) ?? [],
      versions: its.toSorted(mostRecentFirst),
    }))
    .sort(
      (a, b) =>
        Number(a.name === '') - Number(b.name === '') || weight(b) - weight(a) || (a.name < b.name ? -1 : 1),
    );
}

function mostRecentFirst(a: HostedVersion, b: HostedVersion): number {
  const time = ({ lastUsedAt }: HostedVersion) => (lastUsedAt === null ? 0 : Date.parse(lastUsedAt));
  return time(b) - time(a) || (a.expert < b.expert ? -1 : 1);
}

/** Bytes in the unit that people read; 0 is a figure here. */
export function memoryText(bytes: number): string {
  if (bytes === 0) return '0';
  if (bytes < 2 ** 20) return `${Math.max(1, Math.round(bytes / 2 ** 10))} KiB`;
  if (bytes < 2 ** 30) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/** How long ago, in one unit. */
export function agoText(time: string | null, now: number): string {
  if (time === null) return 'never';
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** A process, in one line. */
export function processText({ pid, openBytes, residentBytes }: HostProcess): string {
  return [
    pid === 0 ? 'starting' : `pid ${pid}`,
    ...(openBytes > 0 ? [`${memoryText(openBytes)} of weights`] : []),
    ...(residentBytes > 0 ? [`${memoryText(residentBytes)} resident`] : []),
  ].join(' · ');
}

/** What keeps a version in memory, or lets it go first; empty when nobody said anything. */
export function wishText({ isPinned, priority }: HostedVersion): string {
  return [...(isPinned ? ['pinned'] : []), ...(priority === 0 ? [] : [`priority ${priority}`])].join(', ');
}

/** How many of the versions are in memory, as "9 of 12". */
export function readyText({ versions }: HostRow): string {
  return `${versions.filter(({ state }) => state === 'ready').length} of ${versions.length}`;
}
